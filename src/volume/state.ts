/**
 * The volume state: one page, always cached while the volume is open, with the roots and counters.
 */
import { HoldfastError } from '../base/errors.js'
import { State, invalidState } from '../media/state.js'
import { PageKind, type Pages } from './pages.js'

const at = State.word

export class VolumeState {
  readonly #pages: Pages
  readonly #block: number
  readonly #volume: number
  #last = 0

  constructor(pages: Pages, block: number, volume: number) {
    this.#pages = pages
    this.#block = block
    this.#volume = volume
  }

  /** Word index of the state line in the arena: where it was last, if it is still there. */
  #word(): number {
    if (this.#pages.blockOf[this.#last >>> 12] === this.#block) return this.#last >>> 2
    const base = this.#pages.find(this.#block, PageKind.state)
    this.#last = base >= 0 ? base : this.#load()
    return this.#last >>> 2
  }

  #load(): number {
    const base = this.#pages.load(this.#block)
    const why =
      base < 0 ? 'cached as something else' : invalidState(this.#pages, base, this.#volume)
    if (why !== null) {
      this.#pages.drop(this.#block)
      throw new HoldfastError('EUCLEAN', `volume state in block ${this.#block}: ${why}`)
    }
    this.#pages.verified(base, PageKind.state)
    return base
  }

  #set(field: number, value: number): void {
    const w = this.#word()
    this.#pages.u32[w + field] = value
    this.#pages.touch(w << 2, 0, State.size)
  }

  get freeBlocks(): number {
    return this.#pages.u32[this.#word() + at.freeBlocks]!
  }
  addFreeBlocks(delta: number): void {
    this.#set(at.freeBlocks, this.freeBlocks + delta)
  }
  get inodes(): number {
    return this.#pages.u32[this.#word() + at.inodes]!
  }
  addInodes(delta: number): void {
    this.#set(at.inodes, this.inodes + delta)
  }
  get nameSlabs(): number {
    return this.#pages.u32[this.#word() + at.nameSlabs]!
  }
  set nameSlabs(block: number) {
    this.#set(at.nameSlabs, block)
  }
  get inodeSlabs(): number {
    return this.#pages.u32[this.#word() + at.inodeSlabs]!
  }
  set inodeSlabs(block: number) {
    this.#set(at.inodeSlabs, block)
  }
  get reverseMapRoot(): number {
    return this.#pages.u32[this.#word() + at.reverseMapRoot]!
  }
  set reverseMapRoot(block: number) {
    this.#set(at.reverseMapRoot, block)
  }
  get orphanRoot(): number {
    return this.#pages.u32[this.#word() + at.orphanRoot]!
  }
  set orphanRoot(block: number) {
    this.#set(at.orphanRoot, block)
  }
  get blocks(): number {
    return this.#pages.u32[this.#word() + at.blocks]!
  }
  set blocks(count: number) {
    this.#set(at.blocks, count)
  }
  get badBlockRoot(): number {
    return this.#pages.u32[this.#word() + at.badBlockRoot]!
  }
  set badBlockRoot(block: number) {
    this.#set(at.badBlockRoot, block)
  }
  get shareRoot(): number {
    return this.#pages.u32[this.#word() + at.shareRoot]!
  }
  set shareRoot(block: number) {
    this.#set(at.shareRoot, block)
  }
  get inodeMapHigh(): number {
    return this.#pages.u32[this.#word() + at.inodeMapHigh]!
  }
  set inodeMapHigh(entries: number) {
    this.#set(at.inodeMapHigh, entries)
  }
}
