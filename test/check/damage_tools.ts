/**
 * Not tests, but what the damages to the volume of sample.ts are planted with.
 */
import type { FindingCode } from '../../src/check/codes.js'
import { Inode } from '../../src/media/inode.js'
import { NameHeader } from '../../src/media/name.js'
import { SlabHeader } from '../../src/media/slab.js'
import { State } from '../../src/media/state.js'
import { TreeNode } from '../../src/media/tree_node.js'
import type { Region } from '../../src/region/region.js'
import type { Image } from './image.js'
import { buildSample } from './sample.js'

export const sample = buildSample()
export const ROOT = 1

/** What is damaged, how, and what is found besides the first code. */
export interface Damage {
  readonly code: FindingCode
  readonly what: string
  readonly plant: (image: Image) => void | Partial<Region>
  readonly also?: FindingCode[]
  readonly state?: 'errors' | 'unreadable'
}

export const damages: Damage[] = []

export function damage(
  code: FindingCode,
  what: string,
  plant: Damage['plant'],
  also: FindingCode[] = [],
  state: Damage['state'] = 'errors',
): void {
  damages.push({ code, what, plant, also, state })
}

/** Sets fields of an inode, and seals it. */
export const setInode = (image: Image, number: number, fields: Record<string, number>) =>
  image.set(image.inode(number), Inode, fields)

export const setSlab = (image: Image, block: number, fields: Record<string, number>) =>
  image.set(block * 4096, SlabHeader, fields)

export const setState = (image: Image, fields: Record<string, number>) =>
  image.set(image.state, State, fields)

/** The slab with all slots in use that has the lowest numbers, and one in the list. */
export const fullSlab = (image: Image) => image.slab(ROOT)
export const listedSlab = (image: Image) => image.stateOf('inodeSlabs')

/** A block that nothing claims, set in the bitmap. */
export function takeBlock(image: Image): number {
  image.allocate(1000, true)
  return 1000
}

/** The leaf of directory `number`, which has only one node. */
export const leafOf = (image: Image, number: number) => image.rootOf(number)

/** Index of the entry of directory `number` that leads to `target`. */
export function entryOf(image: Image, number: number, target: number): number {
  const leaf = leafOf(image, number)
  const count = image.get(leaf * 4096, TreeNode, 'count')
  for (let i = 0; i < count; i++) if (image.u32[image.record(leaf, i) + 3] === target) return i
  throw new Error(`no entry of ${number} leads to ${target}`)
}

/** Changes fields of the name of an entry and seals it. */
export function setName(
  image: Image,
  directory: number,
  i: number,
  fields: Record<string, number>,
): void {
  const base = image.nameAt(leafOf(image, directory), i)
  const slots = image.get(base, NameHeader, 'length') >>> 16
  image.set(base, NameHeader, fields, slots * 64)
}

/** Changes words of the orphan record of an inode that has a kind. */
export function setOrphan(
  image: Image,
  number: number,
  kind: number,
  words: Partial<Record<number, number>>,
): void {
  const root = image.stateOf('orphanRoot')
  const count = image.get(root * 4096, TreeNode, 'count')
  for (let i = 0; i < count; i++) {
    const w = image.record(root, i)
    if (image.u32[w] === number && image.u32[w + 1] === kind) {
      image.setRecord(root, i, words)
      return
    }
  }
  throw new Error(`no orphan record of inode ${number} and kind ${kind}`)
}

/** Where the attribute of an inode stands: its index in the one node of their tree. */
export function attributeOf(image: Image, number: number, name: string): number {
  const root = image.get(image.inode(number), Inode, 'xattrRoot')
  const count = image.get(root * 4096, TreeNode, 'count')
  for (let i = 0; i < count; i++) {
    const base = image.nameAt(root, i)
    const length = image.get(base, NameHeader, 'length') & 0xffff
    const found = Buffer.from(image.u8.buffer, base + NameHeader.size, length)
    if (found.toString('latin1') === name) return i
  }
  throw new Error(`inode ${number} has no attribute ${name}`)
}
