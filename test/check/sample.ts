/**
 * Not tests, but the volume of the tests of fsck, with a structure of each kind. It has 1024
 * blocks.
 *
 * / holds `a` (10 extents, two links, attributes and an access ACL), `tree` (60 extents, in a
 * tree), `empty`, `sub`, `big`, the symlinks `short` and `long`, a device, a FIFO, a socket, and
 * files whose blocks are being worked at: `tree` (its end is cut off), `punched`, `collapsed`,
 * `inserted`. `sub` (with a default ACL) holds `deep`, a second link to `a` and a name of 255
 * bytes; `deep` is empty; `big` holds 600 files. Without a name: an unlinked file. Two blocks are
 * bad, one of them a file's.
 *
 * Blocks with several owners: `original` (6 blocks), `clone` (all of them but one, which it has a
 * copy of), `twice` (one of them two times); `sealed`, which is fixed, `receiver`, a clone of it
 * that is being made, and its `giver`, without a name. `fixed` has its blocks alone, and a policy.
 * Blocks in limbo have an inode without a name. The volume has a policy and a layout option.
 */
import { encodeAcl, GROUP_OBJ, MASK, OTHER, USER, USER_OBJ } from '../../src/base/posix_acl.js'
import { Mode } from '../../src/base/mode.js'
import { InodeFlag } from '../../src/media/inode.js'
import { LayoutOption } from '../../src/media/superblock.js'
import { OrphanKind } from '../../src/media/tree_node.js'
import { type Image, ImageBuilder } from './image.js'

export interface Sample {
  readonly image: Image
  readonly a: number
  readonly tree: number
  readonly empty: number
  readonly sub: number
  readonly deep: number
  readonly big: number
  readonly short: number
  readonly long: number
  readonly device: number
  readonly fifo: number
  readonly punched: number
  readonly collapsed: number
  readonly inserted: number
  readonly unlinked: number
  readonly original: number
  readonly clone: number
  readonly twice: number
  readonly sealed: number
  readonly receiver: number
  readonly giver: number
  readonly fixed: number
  readonly limbo: number
}

const UNDEFINED = 0xffff_ffff

/** An ACL of a mode, with one more user. */
export function aclOf(mode: number): Uint8Array {
  return encodeAcl([
    { tag: USER_OBJ, perm: (mode >> 6) & 7, id: UNDEFINED },
    { tag: USER, perm: 6, id: 1000 },
    { tag: GROUP_OBJ, perm: 5, id: UNDEFINED },
    { tag: MASK, perm: (mode >> 3) & 7, id: UNDEFINED },
    { tag: OTHER, perm: mode & 7, id: UNDEFINED },
  ])
}

type Extent = [file: number, region: number, count: number]

/** Files whose blocks are being worked at: what the work leaves when it is cut short. */
function unfinished(b: ImageBuilder, punched: number, collapsed: number, inserted: number): void {
  const at = (fileBlock: number): Extent => {
    b.gap()
    return [fileBlock, b.block(2), 2]
  }
  const flags = InodeFlag.unfinished
  // File blocks 2 to 7 are to go, and some are gone.
  b.file(punched, [at(0), at(2), at(10)], { flags, size: 12 * 4096 })
  b.orphan(punched, OrphanKind.punch, 2, 8)
  // Four blocks were taken out at file block 2: what stood at 6 is there now, at 12 is the next.
  b.file(collapsed, [at(0), at(2), at(12), at(20)], { flags, size: 22 * 4096 })
  b.orphan(collapsed, OrphanKind.collapse, 8, 4)
  // Four blocks are put in at file block 2; what stood at 12 stands at 16, what stood at 6 follows.
  b.file(inserted, [at(0), at(2), at(6), at(16)], { flags, size: 14 * 4096 })
  b.orphan(inserted, OrphanKind.insert, 2, 4)
  b.orphan(inserted, OrphanKind.insertEnd, 12)
}

/** Files that have blocks together. */
function clones(b: ImageBuilder) {
  const flags = InodeFlag.shares
  const [original, clone, twice] = [b.number(), b.number(), b.number()]
  const [sealed, receiver, giver] = [b.number(), b.number(), b.number()]
  b.gap()
  const shared = b.block(6)
  const own = b.block()
  const back = shared + 3
  b.file(original, [[0, shared, 6]], { flags })
  b.file(
    clone,
    [
      [0, shared, 2],
      [2, own, 1],
      [3, back, 3],
    ],
    { flags },
  )
  b.file(
    twice,
    [
      [0, back + 1, 1],
      [5, back + 1, 1],
    ],
    { flags, size: 6 * 4096 },
  )
  b.share(shared, 2, 2)
  b.share(back, 1, 2)
  b.share(back + 1, 1, 4)
  b.share(back + 2, 1, 2)
  b.gap()
  const whole = b.block(4)
  const rest = whole + 2
  const kept = b.block()
  b.gap()
  const old = b.block()
  b.file(sealed, [[0, whole, 4]], { flags: flags | InodeFlag.fixed | InodeFlag.writeSealed })
  // The end has come over; the start is still with the giver, and blocks that go are in its place.
  const receives = { flags: flags | InodeFlag.unfinished, size: 5 * 4096 }
  b.file(
    receiver,
    [
      [0, kept, 1],
      [4, old, 1],
      [6, rest, 2],
    ],
    receives,
  )
  b.file(giver, [[4, whole, 2]], { flags, links: 0, size: 8 * 4096 })
  b.share(whole, 2, 2)
  b.share(rest, 2, 2)
  b.orphan(receiver, OrphanKind.receive, 4, 6)
  b.orphan(receiver, OrphanKind.receiveFrom, giver)
  b.orphan(giver, OrphanKind.unlinked)
  b.orphan(giver, OrphanKind.giver, receiver)
  return { original, clone, twice, sealed, receiver, giver }
}

/** A file that does not move, and the blocks that files gave up and that are still held. */
function held(b: ImageBuilder) {
  const [fixed, limbo] = [b.number(), b.number()]
  const flags = InodeFlag.fixed | InodeFlag.policyLow | InodeFlag.policyHigh
  b.gap()
  b.file(fixed, [[0, b.block(3), 3]], { flags, size: 3 * 4096 - 100 })
  b.gap()
  const first = b.block(2)
  b.gap()
  const second = b.block()
  b.file(
    limbo,
    [
      [first, first, 2],
      [second, second, 1],
    ],
    { links: 0, size: 0 },
  )
  b.orphan(limbo, OrphanKind.unlinked)
  b.layout({ policy: 2, layoutOptions: LayoutOption.unlinkBusy })
  return { fixed, limbo }
}

/** Numbers for what the root holds, in an order that later tests rely on. */
function numbers(b: ImageBuilder) {
  const next = (mode: number) => b.type(b.number(), mode)
  const root = next(Mode.directory)
  const [a, tree, empty] = [next(Mode.file), next(Mode.file), next(Mode.file)]
  const [sub, deep, big] = [next(Mode.directory), next(Mode.directory), next(Mode.directory)]
  const unlinked = b.number()
  return { root, a, tree, empty, sub, deep, big, unlinked }
}

/**
 * The volume that the head of this file describes. `count`: files in `big`; `attributes`: more of
 * them, of `empty`.
 */
export function buildSample(count = 600, attributes: Record<string, Uint8Array> = {}): Sample {
  const b = new ImageBuilder()
  const { root, a, tree, empty, sub, deep, big, unlinked } = numbers(b)
  const small = Array.from({ length: count }, () => b.type(b.number(), Mode.file))
  const [short, long] = [b.number(), b.number()]
  const [device, fifo, socket] = [b.number(), b.number(), b.number()]
  const [punched, collapsed, inserted] = [b.number(), b.number(), b.number()]
  const extents = (count: number): Extent[] =>
    Array.from({ length: count }, (_, i) => {
      b.gap()
      return [i * 3, b.block(2), 2]
    })
  const own = extents(10)
  b.file(a, own, { links: 2, mode: Mode.file | 0o664, flags: InodeFlag.accessAcl })
  b.xattrs(a, {
    'user.small': Buffer.from('a value'),
    'user.empty': new Uint8Array(0),
    'user.large': new Uint8Array(6000).fill(7),
    'system.posix_acl_access': aclOf(0o664),
  })
  b.file(tree, extents(60), { flags: InodeFlag.unfinished, size: 4096 })
  b.orphan(tree, OrphanKind.beyond)
  b.file(unlinked, [[0, b.block(3), 3]], { links: 0 })
  b.orphan(unlinked, OrphanKind.unlinked)
  small.forEach((number, i) => b.file(number, i < 20 ? [[0, b.block(), 1]] : []))
  const names = small.map((inode, i) => ({ name: `file-${i}`, inode }))
  b.directory(big, root, names)
  b.directory(deep, sub, [])
  const below = [
    { name: 'deep', inode: deep },
    { name: 'again', inode: a },
    { name: 'n'.repeat(255), inode: empty },
  ]
  b.directory(sub, root, below, { flags: InodeFlag.defaultAcl })
  b.xattrs(sub, { 'system.posix_acl_default': aclOf(0o750) })
  b.file(empty, [], { links: 2 })
  b.xattrs(empty, attributes)
  b.symlink(short, 'sub/deep')
  b.symlink(long, 'x/'.repeat(2047))
  b.special(device, Mode.character | 0o600, (5 << 20) | 1)
  b.special(fifo, Mode.fifo | 0o644)
  b.special(socket, Mode.socket | 0o755)
  unfinished(b, punched, collapsed, inserted)
  const work = { punched, collapsed, inserted }
  const { giver, ...shared } = clones(b)
  const { fixed, limbo } = held(b)
  const files = { a, tree, empty, sub, big, short, long, device, fifo, socket }
  const all = { ...files, ...work, ...shared, fixed }
  const top = Object.entries(all).map(([name, inode]) => ({ name, inode }))
  b.directory(root, root, top)
  b.bad(1020)
  b.bad(own[3]![1])
  return { image: b.finish(), ...all, deep, unlinked, giver, limbo }
}
