/**
 * A second reading of a tree, for its tests: walks the nodes from the root by block number, asserts
 * all that media/tree_node.ts and docs/SPEC.md say of them, and returns the records in order.
 */
import assert from 'node:assert/strict'
import { BLOCK_BYTES } from '../../src/base/limits.js'
import type { Core } from '../../src/volume/core.js'
import { PageKind } from '../../src/volume/pages.js'

export type Key = readonly number[]

export function compareKeys(a: Key, b: Key): number {
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return a[i]! < b[i]! ? -1 : 1
  return 0
}

export interface Walked {
  /** Records, in order. */
  readonly records: number[][]
  readonly blocks: Set<number>
  readonly levels: number
  readonly leaves: number
}

export class TreeWalk {
  readonly #core: Core
  readonly #kind: number
  readonly #keyWords: number
  readonly #owner: number

  constructor(core: Core, kind: number, keyWords: number, owner: number) {
    this.#core = core
    this.#kind = kind
    this.#keyWords = keyWords
    this.#owner = owner
  }

  /** The words of a node: from the cache when it is there, else from home. */
  #node(block: number): Uint32Array {
    const { pages, region } = this.#core
    const bytes = new Uint8Array(BLOCK_BYTES)
    const base = pages.find(block, PageKind.node)
    if (base >= 0) bytes.set(pages.u8.subarray(base, base + BLOCK_BYTES))
    else region.read(block * BLOCK_BYTES, bytes, 0, BLOCK_BYTES)
    return new Uint32Array(bytes.buffer)
  }

  walk(root: number): Walked {
    const walked = { records: [] as number[][], blocks: new Set<number>(), levels: 0, leaves: 0 }
    if (root === 0) return walked
    walked.levels = this.#node(root)[5]! + 1
    this.#below(root, walked.levels - 1, null, null, walked)
    walked.leaves = [...walked.blocks].filter((block) => this.#node(block)[5] === 0).length
    return walked
  }

  /** The subtree at `block`: keys at least `low`, less than `high` (null: no bound). */
  #below(
    block: number,
    level: number,
    low: Key | null,
    high: Key | null,
    walked: { records: number[][]; blocks: Set<number> },
  ): void {
    assert.ok(!walked.blocks.has(block), `block ${block} is met twice`)
    walked.blocks.add(block)
    const node = this.#node(block)
    const bytes = new Uint8Array(node.buffer)
    const header = [node[0], node[2], node[3], node[4], node[5]]
    assert.deepEqual(header, [0x31544648, block, this.#kind, this.#owner, level])
    const count = node[6]!
    assert.ok(count >= 1 && count <= 237, `${count} records`)
    const order = Array.from(bytes.subarray(64, 64 + count))
    const slots = Array.from({ length: count }, (_, i) => i)
    assert.deepEqual(
      [...order].sort((a, b) => a - b),
      slots,
      'the order is a permutation',
    )
    const records = order.map((slot) => Array.from(node.subarray(76 + slot * 4, 80 + slot * 4)))
    const keys = records.map((record) => record.slice(0, this.#keyWords))
    // The first key of an inner node is not looked at.
    for (let i = level > 0 ? 2 : 1; i < count; i++) {
      assert.ok(compareKeys(keys[i - 1]!, keys[i]!) < 0, 'keys ascend')
    }
    if (level === 0) {
      if (low !== null) assert.ok(compareKeys(low, keys[0]!) <= 0, 'not less than the separator')
      if (high !== null) assert.ok(compareKeys(keys[count - 1]!, high) < 0, 'less than the next')
      walked.records.push(...records)
      return
    }
    records.forEach((record, i) => {
      const from = i === 0 ? low : keys[i]!
      const to = i === count - 1 ? high : keys[i + 1]!
      this.#below(record[3]!, level - 1, from, to, walked)
    })
  }
}
