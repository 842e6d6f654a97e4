/**
 * A column: numbers in a typed array that grows and keeps its memory from one check to the next.
 * What is pushed has first claimed a block or a slot, so no corrupt count makes a column long.
 */
export class Column {
  data = new Uint32Array(64)
  length = 0

  reset(): void {
    this.length = 0
  }

  push(value: number): void {
    if (this.length === this.data.length) this.#grow(this.length + 1)
    this.data[this.length++] = value
  }

  /** Appends `count` zeros. */
  extend(count: number): void {
    const end = this.length + count
    if (end > this.data.length) this.#grow(end)
    this.data.fill(0, this.length, end)
    this.length = end
  }

  #grow(least: number): void {
    const wider = new Uint32Array(Math.max(least, this.data.length * 2))
    wider.set(this.data)
    this.data = wider
  }
}
