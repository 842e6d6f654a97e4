/** What happens in the fire: one random thing a step. */
import type { LayoutPolicy } from '../../src/base/layout.js'
import { RESERVE_BLOCKS } from '../../src/base/limits.js'
import { Prng } from '../../src/base/prng.js'
import type { LayoutFile } from '../../src/layout/file.js'
import type { Hold } from '../../src/layout/hold.js'
import type { Session } from '../../src/layout/session.js'
import { BLOCK, pattern, type Content } from './contents.js'
import { Transfer, Violation, type Access, type Manner } from './dma.js'
import type { Asked, Fire } from './fire.js'

const FILES = 12
const BLOCKS_MAX = 40
const BAD_MAX = 40
/** Blocks that are left free when the volume becomes smaller: a few more than are kept back. */
const ROOM = 40
/** Blocks behind the maps that the smallest volume has (blocksToShrinkTo). */
const LEAST = 2 * RESERVE_BLOCKS

/** What a step is made with. */
interface Step {
  readonly fire: Fire
  readonly prng: Prng
  readonly session: Session
}

/** A call on a file that is there: how it is asked for, and what is to be said of it afterwards. */
interface Call {
  readonly label: string
  readonly path: string
  readonly policy?: LayoutPolicy | undefined
  readonly takes?: boolean
  readonly force?: boolean
  readonly run: (file: LayoutFile, content: Content, asked: Asked) => void
}

const POLICIES = ['busy', 'wait', 'defer', 'defer', undefined] as const

// ---- calls on one file
// ---------------------------------------------------------------------------

/** By a handle of the step's session, at once or in the promise form. */
function call({ fire, prng, session }: Step, one: Call): void {
  const { path, policy, takes = false } = one
  const asked: Asked = { session, policy, takes }
  const run = () => {
    fire.witness.reconcile() // what was fenced just now is not what this call gives back
    const content = fire.files.get(path)
    const file = fire.volume.openAs(session, path, 'r+')
    try {
      one.run(file, content!, asked)
    } finally {
      file.close()
      fire.returned(session)
    }
  }
  const label = `${one.label} of ${path} (file ${fire.files.get(path)?.id ?? 0})`
  const options = { policy, force: one.force, deadline: 2000, timeout: 4000 }
  if (prng.chance(1, 3)) fire.later(label, () => fire.volume.promises.settle(run, options))
  else fire.now(label, () => fire.volume.arbiter.during({ policy }, run))
}

function offsetIn(prng: Prng, blocks: number): number {
  return prng.below(blocks) * BLOCK + (prng.chance(1, 3) ? prng.below(BLOCK) : 0)
}

function write(step: Step, path: string): void {
  const { fire, prng } = step
  const size = fire.files.get(path)!.size
  const append = prng.chance(1, 3) && size < BLOCKS_MAX * BLOCK
  const at = append ? size : offsetIn(prng, BLOCKS_MAX)
  const length = prng.chance(1, 2) ? 1 + prng.below(BLOCK) : BLOCK * (1 + prng.below(6))
  const stamp = prng.next()
  call(step, {
    label: `write ${length} at ${at}`,
    path,
    run: (file, content, asked) => {
      const bytes = pattern(content.id, stamp, length)
      file.write(bytes, at)
      fire.apply(asked, content, () => content.write(at, bytes))
    },
  })
}

function truncate(step: Step, path: string): void {
  const { fire, prng } = step
  const size = prng.chance(1, 8) ? 0 : offsetIn(prng, BLOCKS_MAX)
  const policy = prng.pick(POLICIES)
  call(step, {
    label: `truncate to ${size} (${policy})`,
    path,
    policy,
    takes: true,
    run: (file, content, asked) => {
      file.truncate(size)
      fire.apply(asked, content, (leaving) => {
        if (size > content.size) content.extend(size)
        else content.shrink(size, leaving)
      })
    },
  })
}

function punch(step: Step, path: string): void {
  const { fire, prng } = step
  const at = offsetIn(prng, BLOCKS_MAX)
  const length = 1 + prng.below(8 * BLOCK)
  const policy = prng.pick(POLICIES)
  call(step, {
    label: `punch ${length} at ${at} (${policy})`,
    path,
    policy,
    takes: true,
    run: (file, content, asked) => {
      file.punch(at, length)
      fire.apply(asked, content, (leaving) => content.punch(at, length, leaving))
    },
  })
}

function shift(step: Step, path: string): void {
  const { fire, prng } = step
  const { blocks } = fire.files.get(path)!
  const count = 1 + prng.below(4)
  const insert = prng.chance(1, 2) && blocks + count <= BLOCKS_MAX
  if (blocks < count + 2) return
  const at = prng.below(insert ? blocks - 1 : blocks - count - 1)
  call(step, {
    label: `${insert ? 'insert' : 'collapse'} ${count} blocks at ${at}`,
    path,
    run: (file, content, asked) => {
      // The file may have become shorter while this waited.
      if (at + (insert ? 1 : count + 1) >= content.blocks) return
      if (insert) file.insert(at * BLOCK, count * BLOCK)
      else file.collapse(at * BLOCK, count * BLOCK)
      fire.apply(asked, content, (leaving) => {
        content.shift(at, insert ? count : -count, leaving)
      })
    },
  })
}

function allocate(step: Step, path: string): void {
  const { fire, prng } = step
  const at = offsetIn(prng, BLOCKS_MAX)
  const length = 1 + prng.below(4 * BLOCK)
  const keepSize = prng.chance(1, 2)
  const zeroes = prng.chance(1, 3)
  call(step, {
    label: `${zeroes ? 'zero' : 'allocate'} ${length} at ${at}${keepSize ? ', size kept' : ''}`,
    path,
    run: (file, content, asked) => {
      if (zeroes) file.zeroRange(at, length, { keepSize })
      else file.allocate(at, length, { keepSize })
      fire.apply(asked, content, () => {
        if (zeroes) content.zero(at, length, keepSize)
        else if (!keepSize) content.extend(at + length)
      })
    },
  })
}

function reflinkRange(step: Step, path: string): void {
  const { fire, prng } = step
  const from = fire.path(prng)!
  const { blocks } = fire.files.get(from)!
  if (blocks === 0) return
  const first = prng.below(blocks)
  const count = 1 + prng.below(Math.min(10, blocks - first))
  const at = prng.below(BLOCKS_MAX)
  const share = prng.chance(1, 2) ? 'copy' : 'strict'
  const policy = prng.pick(POLICIES)
  call(step, {
    label: `reflink ${share} ${from} ${count} blocks at ${first} to ${at} (${policy})`,
    path,
    policy,
    takes: true,
    run: (file, content, asked) => {
      const source = fire.files.get(from)
      if (source === undefined || (source === content && Math.abs(first - at) < count)) return
      const length = Math.min(count * BLOCK, source.size - first * BLOCK)
      const toEnd = (first + count) * BLOCK >= source.size && at * BLOCK + length >= content.size
      if (length <= 0 || (length % BLOCK !== 0 && !toEnd)) return
      const handle = fire.volume.openAs(step.session, from, 'r')
      try {
        handle.reflinkRange(first * BLOCK, file, at * BLOCK, length, { share })
      } finally {
        handle.close()
      }
      const end = first + Math.ceil(length / BLOCK)
      fire.apply(asked, content, (leaving) => {
        content.share(source, first, end, at, at * BLOCK + length, leaving)
      })
    },
  })
}

function copyRange(step: Step, path: string): void {
  const { fire, prng } = step
  const from = fire.path(prng)!
  const at = offsetIn(prng, BLOCKS_MAX)
  const length = 1 + prng.below(6 * BLOCK)
  const first = offsetIn(prng, BLOCKS_MAX)
  call(step, {
    label: `copy ${length} of ${from} at ${first} to ${at}`,
    path,
    run: (file, content, asked) => {
      const source = fire.files.get(from)
      if (source === undefined || source === content || first >= source.size) return
      // What it copies in steps is not one change: only where nothing can stop it half way.
      if (content.fixed) return
      if ([...content.pages.values()].some(({ holders }) => holders > 0)) return
      const handle = fire.volume.openAs(step.session, from, 'r')
      try {
        const n = handle.copyRange(first, file, at, length)
        const bytes = bytesOf(source).subarray(first, first + n)
        fire.apply(asked, content, () => content.write(at, bytes))
      } finally {
        handle.close()
      }
    },
  })
}

function bytesOf(content: Content): Uint8Array {
  const bytes = new Uint8Array(content.blocks * BLOCK)
  for (const page of content.pages.values()) {
    if (page.block < content.blocks) bytes.set(page.bytes, page.block * BLOCK)
  }
  return bytes.subarray(0, content.size)
}

function unshare(step: Step, path: string): void {
  const mode = step.prng.chance(1, 2) ? 'self' : 'others'
  call(step, {
    label: `unshare ${mode}`,
    path,
    run: (file, content, asked) => {
      file.unshare(mode)
      step.fire.apply(asked, content, () => {})
    },
  })
}

// ---- names
// ---------------------------------------------------------------------------------------

function make({ fire, prng }: Step): void {
  const path = `/d/f${prng.below(FILES)}`
  if (fire.files.has(path)) return
  const content = fire.newContent()
  const bytes = pattern(content.id, prng.next(), prng.below(BLOCKS_MAX * BLOCK))
  fire.now(`make ${path} of ${bytes.length} bytes`, () => {
    fire.volume.writeFile(path, bytes)
    content.ino = fire.volume.stat(path).ino
    content.write(0, bytes)
    fire.files.set(path, content)
  })
}

/** A name is gone: the file stays as long as it is held. */
function lost(fire: Fire, path: string): void {
  const content = fire.files.get(path)
  if (content === undefined) return
  fire.files.delete(path)
  content.unlinked = true
  fire.nameless.add(content)
  fire.sweep()
}

function unlink({ fire, prng }: Step, path: string): void {
  const run = () => {
    fire.volume.unlink(path)
    lost(fire, path)
  }
  if (prng.chance(1, 4)) fire.later(`unlink ${path}`, () => fire.volume.promises.settle(run))
  else fire.now(`unlink ${path}`, run)
}

function rename({ fire, prng }: Step, from: string): void {
  const to = `/d/f${prng.below(FILES)}`
  if (from === to) return
  fire.now(`rename ${from} to ${to}`, () => {
    const content = fire.files.get(from)!
    fire.volume.rename(from, to)
    lost(fire, to)
    fire.files.delete(from)
    fire.files.set(to, content)
  })
}

function clone({ fire, prng }: Step, from: string): void {
  const to = `/d/f${prng.below(FILES)}`
  if (from === to) return
  const share = prng.chance(1, 2) ? 'copy' : 'strict'
  const policy = prng.pick(POLICIES)
  const asked: Asked = { session: fire.volume.self, policy, takes: true }
  const run = () => {
    const source = fire.files.get(from)
    fire.volume.reflink(from, to, { share, policy })
    let target = fire.files.get(to)
    if (target === undefined) {
      target = fire.newContent()
      target.ino = fire.volume.stat(to).ino
      fire.files.set(to, target)
    }
    const content = target
    fire.apply(asked, content, (leaving) => {
      const { size, blocks } = source!
      content.share(source!, 0, blocks, 0, size, leaving)
      content.shrink(size, leaving)
    })
  }
  const label = `clone ${share} ${from} to ${to} (${policy})`
  if (prng.chance(1, 3)) {
    const options = { policy, deadline: 2000, timeout: 4000 }
    fire.later(label, () => fire.volume.promises.settle(run, options))
  } else fire.now(label, run)
}

function snapshot({ fire, prng }: Step): void {
  const name = `/s${fire.snapshots % 2}`
  const there = [...fire.files.keys()].filter((path) => path.startsWith(`${name}/`))
  if (fire.snapshots >= 2) {
    for (const path of there) {
      if (!fire.now(`unlink ${path}`, () => fire.volume.unlink(path))) return
      lost(fire, path)
    }
    if (fire.volume.readdir('/').some((entry) => `/${Buffer.from(entry.name)}` === name)) {
      fire.volume.rmdir(name)
    }
  }
  const share = prng.chance(2, 3) ? 'copy' : 'strict'
  const taken = fire.now(`snapshot ${share} ${name}`, () => {
    fire.volume.snapshot('/d', name, { share })
    for (const [path, source] of [...fire.files]) {
      if (!path.startsWith('/d/')) continue
      const to = path.replace('/d', name)
      const content = fire.newContent()
      content.ino = fire.volume.stat(to).ino
      content.fixed = false
      content.share(source, 0, source.blocks, 0, source.size, () => {})
      fire.files.set(to, content)
    }
  })
  if (taken || fire.snapshots >= 2) fire.snapshots++
}

// ---- what a file says of its layout
// --------------------------------------------------------------

function flags({ fire, prng }: Step, path: string): void {
  const content = fire.files.get(path)!
  if (content.sealed) {
    fire.now(`seal-off ${path}`, () => {
      fire.volume.sealWrites(path, { off: true })
      content.sealed = false
    })
  } else if (content.fixed && prng.chance(2, 3)) {
    fire.now(`unfix ${path}`, () => {
      fire.volume.unfix(path)
      content.fixed = false
    })
  } else if (content.fixed) {
    fire.now(`seal-writes ${path}`, () => {
      fire.volume.sealWrites(path)
      content.sealed = true
    })
  } else if (prng.chance(1, 3)) {
    fire.now(`fix ${path}`, () => {
      fire.volume.fix(path)
      content.fixed = true
    })
  } else {
    const policy = prng.pick(['busy', 'wait', 'defer', null] as const)
    fire.now(`policy ${policy} ${path}`, () => {
      fire.volume.setPolicy(path, policy)
      content.policy = policy
    })
  }
}

// ---- maintenance
// ---------------------------------------------------------------------------------

function defragment({ fire, prng }: Step, path: string): void {
  const force = prng.chance(1, 4)
  if (prng.chance(1, 3)) {
    const options = { force, deadline: 2000 }
    fire.later(`defragment ${path}`, () => fire.volume.promises.defragment(path, options))
  } else {
    fire.now(`defragment ${path}`, () => {
      for (const step of fire.volume.defragment(path)) void step
    })
  }
}

function evacuate(step: Step, from: number, count: number): void {
  const { fire, prng } = step
  const to = Math.min(from + count, fire.volume.core.geometry.blockCount)
  const label = `evacuate ${from} to ${to}`
  if (prng.chance(1, 3)) {
    const options = { force: prng.chance(1, 4), deadline: 2000 }
    fire.later(label, () => fire.volume.promises.evacuate(from * BLOCK, to * BLOCK, options))
  } else {
    fire.now(label, () => {
      for (const one of fire.volume.evacuate(from * BLOCK, to * BLOCK)) void one
      fire.witness.demandEmpty(from, to)
    })
  }
}

function evacuateSome(step: Step, path: string): void {
  const blocks = [...step.fire.witness.layout(step.fire.files.get(path)!).values()]
  if (blocks.length === 0) return
  evacuate(step, step.prng.pick(blocks), 1 + step.prng.below(24))
}

/**
 * The volume ends earlier, until it is mounted again at the end of the step; or that is given up
 * half way.
 */
function shrinkVolume({ fire, prng }: Step, path: string): void {
  const { geometry, state, pages } = fire.volume.core
  const places = [...fire.witness.layout(fire.files.get(path)!).values()]
  pages.tick()
  if (places.length === 0) return
  const used = geometry.blockCount - state.freeBlocks
  const end = Math.max(used + ROOM, prng.pick(places), geometry.dataStart + LEAST)
  const label = `shrink to ${end}`
  const most = prng.chance(1, 2) ? Infinity : prng.below(12)
  fire.now(label, () => {
    let steps = 0
    for (const one of fire.volume.shrink(end * BLOCK)) {
      void one
      if (steps++ === most) return
    }
    fire.witness.demandEmpty(end, Infinity)
    if (geometry.blockCount !== end) throw new Violation(`${label}: ${geometry.blockCount} blocks`)
  })
}

function markBad(step: Step, path: string): void {
  const { fire, prng } = step
  const blocks = [...fire.witness.layout(fire.files.get(path)!).values()]
  if (blocks.length === 0 || fire.bad >= BAD_MAX) return
  const block = prng.pick(blocks)
  fire.volume.core.pages.tick()
  if (fire.now(`bad ${block}`, () => fire.volume.core.badBlocks.add(block))) fire.bad++
  evacuate(step, block, 1)
}

// ---- holds
// ---------------------------------------------------------------------------------------

function rangeIn(prng: Prng, content: Content): { offset: number; length: number } | null {
  const past = prng.chance(1, 6)
  const blocks = past ? BLOCKS_MAX : content.blocks
  if (blocks === 0) return null
  const first = prng.below(blocks)
  const count = prng.chance(1, 10) ? blocks - first : 1 + prng.below(Math.min(8, blocks - first))
  return { offset: first * BLOCK, length: count * BLOCK }
}

function pin(step: Step, path: string): void {
  const { fire, prng, session } = step
  const range = rangeIn(prng, fire.files.get(path)!)
  if (range === null) return
  const unshareMode = prng.chance(1, 3) ? 'others' : 'self'
  const options = { ...range, session, unshare: unshareMode, reason: 'a registration' } as const
  const label = `pin of ${range.length} at ${range.offset} of ${path}, unshare ${unshareMode}`
  hold(
    step,
    path,
    label,
    'pin',
    (file) => file.pin(options),
    (file, taken) => {
      // The engine begins with the grant: what waits behind it may defer blocks at once.
      const take = (ticket: number) => taken(file.takeHold('pin', options, ticket))
      return fire.volume.waiting.settle(take, { timeout: 3000, deadline: 2000 }, true)
    },
  )
}

/** Takes a hold, in either form, and sets the engine to work on it. */
function hold(
  { fire, prng, session }: Step,
  path: string,
  label: string,
  access: Access,
  now: (file: LayoutFile) => Hold,
  later: ((file: LayoutFile, taken: (hold: Hold) => void) => Promise<void>) | null,
): void {
  const begin = (content: Content, taken: Hold) => {
    if (taken.released) return
    const transfer = new Transfer(
      taken.id,
      access,
      session.id,
      content,
      () => taken.release(),
      (offset, length) => taken.returnRange(offset, length),
    )
    fire.returned(session)
    // Its name may have gone while it waited.
    if (![...fire.files.values()].includes(content)) fire.nameless.add(content)
    start(fire, transfer)
  }
  const content = fire.files.get(path)!
  if (later !== null && prng.chance(1, 4)) {
    fire.later(label, async () => {
      const file = fire.volume.openAs(session, path, 'r+')
      try {
        await later(file, (taken) => begin(content, taken))
      } finally {
        file.close()
        fire.returned(session)
      }
    })
    return
  }
  fire.now(label, () => {
    const file = fire.volume.openAs(session, path, 'r+')
    try {
      const taken = now(file)
      begin(content, taken)
    } finally {
      file.close()
      fire.returned(session)
    }
  })
}

function start(fire: Fire, transfer: Transfer): void {
  // The file may have moved away from what is fenced, to have these blocks for itself.
  fire.witness.reconcile()
  const { holding, core } = fire.volume
  core.pages.tick()
  fire.engine.begin(transfer, holding.pieces(holding.table.slotOf(transfer.id)))
}

const MANNERS: readonly Manner[] = [
  'at once',
  'soon',
  'in parts',
  'at the last moment',
  'never',
  'never',
]

function lease(step: Step, path: string): void {
  const { fire, prng, session } = step
  const range = rangeIn(prng, fire.files.get(path)!)
  if (range === null) return
  const iomode = prng.chance(1, 2) ? 'read' : 'rw'
  const manner = prng.pick(MANNERS)
  const cut = prng.pick(['none', 'at once', 'drained', 'drained'] as const)
  let id = 0
  const onRecall = () => {
    fire.guarded(() => {
      const transfer = fire.engine.transfers.get(id)
      if (transfer === undefined) return
      transfer.recalled = true
      if (manner === 'at once') fire.endTransfer(transfer)
      else if (manner === 'soon' || manner === 'in parts') {
        transfer.due = Math.min(transfer.due, fire.number + 1 + prng.below(8))
      }
    })
  }
  const revoke = () => {
    const transfer = fire.engine.transfers.get(id)
    if (transfer === undefined) return
    if (cut === 'at once') {
      fire.engine.stop(transfer)
      fire.sweep()
      return
    }
    transfer.phase = 'draining'
    transfer.due = fire.number + 1 + prng.below(5)
    return new Promise<void>((resolve) => (transfer.drained = resolve))
  }
  const options = {
    ...range,
    session,
    iomode,
    onRecall,
    reason: `a lease, answered ${manner}`,
    ...(cut === 'none' ? {} : { revoke }),
  } as const
  const label = `lease ${iomode} of ${range.length} at ${range.offset} of ${path}, ${manner}, cut ${cut}`
  fire.granted = 0 // after a remount the same id is another hold
  hold(step, path, label, iomode, (file) => file.lease(options), null)
  if (fire.granted === 0) return
  id = fire.granted
  const transfer = fire.engine.transfers.get(id)
  if (transfer !== undefined) transfer.manner = manner
}

function seal({ fire, prng, session }: Step, path: string): void {
  const content = fire.files.get(path)!
  if (content.blocks === 0) return
  const first = prng.below(content.blocks)
  const length = Math.min(4 * BLOCK, content.size - first * BLOCK)
  const write = prng.chance(1, 2)
  fire.now(`seal of ${length} at ${first * BLOCK} of ${path}`, () => {
    const file = fire.volume.openAs(session, path, 'r+')
    try {
      const offset = first * BLOCK
      const mapping = file.map({ direct: true, sync: true, write, offset, length })
      fire.returned(session)
      const none = () => {}
      const end = () => mapping.unmap()
      start(fire, new Transfer(fire.granted, 'seal', session.id, content, end, none))
    } finally {
      file.close()
      fire.returned(session)
    }
  })
}

function release({ fire, prng }: Step): void {
  const all = [...fire.engine.transfers.values()].filter(({ phase }) => phase !== 'draining')
  if (all.length === 0) return
  const transfer = prng.pick(all)
  const part = transfer.access !== 'seal' && prng.chance(1, 3)
  fire.now(`${part ? 'return half' : 'release'} ${transfer}`, () => {
    if (part) fire.giveHalf(transfer)
    else fire.endTransfer(transfer)
  })
}

function commit({ fire, prng }: Step): void {
  const all = [...fire.engine.transfers.values()].filter(
    ({ phase, access, pieces, file }) =>
      phase === 'live' &&
      (access === 'pin' || access === 'rw') &&
      !file.fixed &&
      pieces.every((piece) => piece.page.file !== null),
  )
  if (all.length === 0) return
  const transfer = prng.pick(all)
  const { file, pieces } = transfer
  const end = (Math.max(...pieces.map(({ page }) => page.block)) + 1) * BLOCK
  const size = end - prng.below(BLOCK)
  fire.now(`commit ${size} through ${transfer}`, () => {
    fire.volume.commitHold(transfer.id, size)
    file.extend(size)
  })
}

function sessionDies({ fire, prng }: Step): void {
  const index = prng.below(fire.sessions.length)
  const session = fire.sessions[index]!
  fire.now(`end session ${session.id}`, () => {
    const drains: (() => void)[] = []
    for (const transfer of [...fire.engine.transfers.values()]) {
      if (transfer.session !== session.id) continue
      if (transfer.drained !== null) drains.push(transfer.drained)
      fire.engine.stop(transfer)
      if (transfer.access === 'seal') transfer.end()
    }
    fire.sweep()
    session.end()
    for (const drained of drains) drained()
  })
  fire.sessions[index] = fire.newSession()
}

/** The engine reads and writes. */
function dma({ fire, prng }: Step): void {
  for (const transfer of fire.engine.transfers.values()) {
    fire.engine.verify(transfer)
    if (!transfer.writes || transfer.pieces.length === 0 || prng.chance(1, 2)) continue
    const piece = prng.pick(transfer.pieces)
    const offset = prng.below(BLOCK)
    const length = 1 + prng.below(BLOCK - offset)
    fire.engine.write(piece, offset, pattern(transfer.file.id, prng.next(), length))
  }
}

// ---- the mixture
// ---------------------------------------------------------------------------------

type Kind = readonly [weight: number, run: (step: Step, path: string) => void]

const KINDS: readonly Kind[] = [
  [12, write],
  [8, truncate],
  [6, punch],
  [4, shift],
  [4, allocate],
  [8, reflinkRange],
  [3, copyRange],
  [2, unshare],
  [4, make],
  [2, unlink],
  [2, rename],
  [4, clone],
  [1, snapshot],
  [3, flags],
  [2, defragment],
  [3, evacuateSome],
  [2, shrinkVolume],
  [1, markBad],
  [8, pin],
  [9, lease],
  [3, seal],
  [10, release],
  [3, commit],
  [1, sessionDies],
]

const TOTAL = KINDS.reduce((sum, [weight]) => sum + weight, 0)

/** Runs step `number` of the run with `seed`. `every`: all checks after each step. */
export async function runStep(fire: Fire, number: number, every: boolean): Promise<void> {
  const prng = new Prng(
    Math.imul(fire.options.seed, 0x9e37_79b1) ^ Math.imul(number + 1, 0x85eb_ca6b),
  )
  fire.number = number
  fire.timers.advance(prng.chance(1, 3) ? prng.below(1500) : 0)
  await fire.settle()
  fire.doDue(false)
  await fire.settle()
  const step: Step = { fire, prng, session: prng.pick(fire.sessions) }
  const path = fire.path(prng)
  let left = prng.below(TOTAL)
  for (const [weight, run] of KINDS) {
    left -= weight
    if (left >= 0) continue
    if (path === null) make(step)
    else run(step, path)
    break
  }
  await fire.settle()
  dma(step)
  await ending(fire, prng)
  look(fire, prng, number, every)
}

/** Now and then everything that waits is done, or the machine goes down. */
async function ending(fire: Fire, prng: Prng): Promise<void> {
  const what = prng.below(400)
  if (what < 8) await fire.drain()
  else if (what === 8) fire.crash()
  else if (what === 9 || fire.small) {
    await fire.drain()
    fire.remount()
  }
}

function look(fire: Fire, prng: Prng, number: number, every: boolean): void {
  const { witness, volume } = fire
  if (every || number % 4 === 0) witness.check()
  const all = every || number % 64 === 0
  const path = fire.path(prng)
  for (const [name, content] of fire.files) {
    if (all || name === path) witness.verifyFile(content, volume.readFile(name))
  }
  if (number % 256 === 0) {
    if (fire.options.sync === 'group') volume.sync()
    fire.fsck()
  }
}
