/**
 * One pass of a repair over a draft: everything read, decided and written into the draft.
 *
 *      bitmap, inode map -> reverse map, inode slabs, trees      what can be believed claims blocks
 *        -> lost slabs and leaves -> extents of files -> entries of directories
 *        -> orphans, /lost+found, links -> trees that changed -> reverse map, shares
 *        -> lists, map, bitmap
 *
 * What is claimed comes before what is handed out, so that no new page lands on what is still to be
 * found.
 */
import type { Header } from '../check/volume_header.js'
import { Mode } from '../base/mode.js'
import { needsLayout } from '../check/layout.js'
import { Inode, ROOT_INODE } from '../media/inode.js'
import { invalidState, State } from '../media/state.js'
import { RecordKinds } from '../media/tree_node.js'
import { Attributes } from './attributes.js'
import { BadBlocks } from './bad_blocks.js'
import { Contents } from './contents.js'
import { Directories } from './directories.js'
import type { Draft } from './draft.js'
import { finish } from './finish.js'
import type { Fixes } from './fixes.js'
import type { Ground } from './ground.js'
import { InodeTable } from './inode_table.js'
import { Links } from './links.js'
import { settleFixed } from './fixed_files.js'
import { LostNodes } from './lost_nodes.js'
import { Orphans } from './orphans.js'
import { ReverseMap } from './reverse_map.js'
import { Shares } from './shares.js'
import { Space, Use } from './space.js'
import { settleSymlinks } from './symlinks.js'
import { TreeBuilder } from './tree_builder.js'
import { Trees } from './trees.js'
import { Values } from './values.js'

const at = Inode.word

export interface PassOptions {
  readonly draft: Draft
  readonly header: Header
  readonly fixes: Fixes
  readonly copyBlocks: Ground['copyBlocks']
  /** By block: 1 when the volume used it before the first pass; filled by the first pass. */
  readonly origin: Uint8Array
  readonly first: boolean
}

export interface PassResult {
  /** Whose each block is in the end. */
  readonly space: Space
  /** The superblock must have the feature `layout`. */
  readonly layout: boolean
}

/** Runs a pass. */
export function runPass(options: PassOptions): PassResult {
  const ground = prepare(options)
  const { inodes, space } = ground
  const directories = new Directories(ground)
  inodes.readMap()
  const map = new ReverseMap(ground)
  const orphans = new Orphans(ground, directories)
  const links = new Links(ground, directories, orphans)
  const badBlocks = new BadBlocks(ground)
  const shares = new Shares(ground)
  const values = new Values(options.draft, space, options.fixes)
  const attributes = new Attributes(ground, directories.names, values)
  map.read()
  inodes.readSlots()
  readTrees(ground, 0)
  findLost(ground, map, links, [orphans.tree, badBlocks.tree, shares.tree])
  settleSymlinks(ground, values)
  attributes.discover()
  discoverNames(ground, directories)
  if (options.first) noteOrigin(space, options.origin)
  for (let b = 0; b < space.blockCount; b++) space.before[b]! |= options.origin[b]!
  shares.read()
  const contents = new Contents(ground, map, shares)
  contents.settle()
  badBlocks.settle()
  space.settled = true
  links.makeRoot()
  attributes.settle()
  directories.settle()
  attributes.settleOdd()
  orphans.settle(contents.extents)
  links.reconnect()
  links.count()
  directories.write()
  attributes.write()
  const orphanRoot = orphans.write()
  const reverseMapRoot = map.rebuild(contents.extents)
  const shareRoot = shares.rebuild(contents.extents)
  settleFixed(ground, contents.extents, shares)
  const badBlockRoot = badBlocks.write()
  finish(ground, directories.names, { orphanRoot, reverseMapRoot, badBlockRoot, shareRoot })
  dropUnused(options.draft, space)
  return { space, layout: needsFeature(ground, shareRoot, orphans.kinds) }
}

function prepare({ draft, header, fixes, copyBlocks }: PassOptions): Ground {
  const space = new Space(header, draft)
  space.readBitmap(header)
  const trees = new Trees(draft, space)
  const builder = new TreeBuilder(draft, space, trees)
  const inodes = new InodeTable(draft, space, fixes, header)
  const state = draft.view(2)
  const stateLost = invalidState(state, 0, header.volume) !== null
  const root = (word: number) => (stateLost ? 0 : state.u32[word]!)
  const roots = {
    reverseMap: root(State.word.reverseMapRoot),
    orphans: root(State.word.orphanRoot),
    badBlocks: root(State.word.badBlockRoot),
    shares: root(State.word.shareRoot),
  }
  return { header, draft, space, fixes, trees, builder, inodes, roots, stateLost, copyBlocks }
}

function needsFeature({ header, inodes }: Ground, shareRoot: number, kinds: number): boolean {
  let flags = 0
  for (let index = 0; index < inodes.length; index++) {
    if (inodes.isFile(index)) flags |= inodes.get(index, at.flags)
  }
  return needsLayout(header, shareRoot, flags, kinds) !== null
}

/** Reads the trees of the inodes from slot index `from` on. */
function readTrees({ inodes, trees }: Ground, from: number): void {
  for (let index = from; index < inodes.length; index++) {
    if (inodes.type.data[index] === 0) continue
    const number = inodes.numberOf(index)
    const attributes = inodes.get(index, at.xattrRoot)
    if (attributes !== 0) {
      inodes.attributes.data[index] = trees.add(attributes, RecordKinds.xattrs, number) + 1
    }
    const root = inodes.get(index, at.root)
    if (root === 0 || !(inodes.isDirectory(index) || inodes.isFile(index))) continue
    const kind = inodes.isDirectory(index) ? RecordKinds.directory : RecordKinds.extents
    inodes.tree.data[index] = trees.add(root, kind, number) + 1
  }
}

/** Looks for what nothing leads to, when something is missing. */
/** `lists`: trees of the volume that are not the reverse map. */
function findLost(ground: Ground, map: ReverseMap, links: Links, lists: number[]): void {
  const { inodes, trees, stateLost } = ground
  const broken = (tree: number) => trees.broken.data[tree] === 1
  let missing = inodes.incomplete || stateLost || inodes.lost.size > 0
  for (let tree = 0; tree < trees.length && !missing; tree++) missing = broken(tree)
  const root = inodes.find(ROOT_INODE)
  if (!missing && root >= 0 && inodes.isDirectory(root)) return
  const lost = new LostNodes()
  const slots = inodes.length
  lost.scan(ground, map.named)
  if (inodes.length > slots) {
    inodes.readSlots(slots)
    readTrees(ground, slots)
  }
  if (root < 0 || !inodes.isDirectory(root)) links.makeRoot()
  const made = recreateDirectories(ground, lost)
  for (let index = 0; index < inodes.length; index++) giveLost(ground, lost, index, made)
  if (stateLost || broken(map.tree)) {
    lost.giveTo(ground, map.tree)
    map.read()
  }
  for (const tree of lists) {
    if (stateLost || broken(tree)) lost.giveTo(ground, tree)
  }
}

/** Directories whose inode is lost and whose entries are not: made anew, for their owner alone. */
function recreateDirectories({ inodes, fixes }: Ground, lost: LostNodes): Set<number> {
  const made = new Set<number>()
  for (const number of lost.owners(RecordKinds.directory.id)) {
    if (number === ROOT_INODE) made.add(inodes.find(number))
    if (inodes.find(number) >= 0 || !inodes.isLost(number)) continue
    const index = inodes.create(number, Mode.directory | 0o700)
    if (index < 0) continue
    made.add(index)
    fixes.add('inode-damaged', `directory ${number} is made anew: its entries were found`)
  }
  return made
}

/** Gives an inode the leaves that its tree lost, or (`made`) that its lost inode led to. */
function giveLost(ground: Ground, lost: LostNodes, index: number, made: Set<number>): void {
  const { inodes, trees } = ground
  if (inodes.type.data[index] === 0) return
  const attributes = inodes.attributes.data[index]! - 1
  if (attributes >= 0 && trees.broken.data[attributes] === 1) lost.giveTo(ground, attributes)
  const kind = inodes.isDirectory(index) ? RecordKinds.directory : RecordKinds.extents
  const number = inodes.numberOf(index)
  if (!lost.has(kind.id, number)) return
  let tree = inodes.tree.data[index]! - 1
  const rootless = tree < 0 && made.has(index)
  if (!rootless && (tree < 0 || trees.broken.data[tree] === 0)) return
  if (rootless) {
    tree = trees.add(0, kind, number)
    inodes.tree.data[index] = tree + 1
  }
  lost.giveTo(ground, tree)
}

function discoverNames({ inodes }: Ground, directories: Directories): void {
  for (let index = 0; index < inodes.length; index++) {
    const tree = inodes.tree.data[index]! - 1
    if (tree >= 0 && inodes.isDirectory(index)) directories.discoverNames(tree)
  }
}

function noteOrigin(space: Space, origin: Uint8Array): void {
  for (let block = 0; block < space.blockCount; block++) {
    origin[block] = space.kind[block] === Use.none && space.isUnused(block) ? 0 : 1
  }
}

/** Pages of blocks that hold no structure are not written: they are free, or data of files. */
function dropUnused(draft: Draft, space: Space): void {
  for (const block of draft.changed.keys()) {
    const use = space.kind[block]
    if (use === Use.none || use === Use.data) draft.discard(block)
  }
}
