/** What every part of a repair works on. */
import type { Header } from '../check/volume_header.js'
import type { Draft } from './draft.js'
import type { Fixes } from './fixes.js'
import type { InodeTable } from './inode_table.js'
import type { Space } from './space.js'
import type { TreeBuilder } from './tree_builder.js'
import type { Trees } from './trees.js'

export interface Ground {
  readonly header: Header
  readonly draft: Draft
  readonly space: Space
  readonly fixes: Fixes
  readonly trees: Trees
  readonly builder: TreeBuilder
  readonly inodes: InodeTable
  /** Roots as the state has them, zeros when it cannot be read. */
  readonly roots: {
    readonly reverseMap: number
    readonly orphans: number
    readonly badBlocks: number
    readonly shares: number
  }
  /** The state cannot be read: what only it led to is looked for. */
  readonly stateLost: boolean
  /** Copies data blocks in the region, to where nothing is. */
  readonly copyBlocks: (from: number, to: number, count: number) => void
}
