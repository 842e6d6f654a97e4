/**
 * Months of a volume's life, from a seed: files made, appended to and deleted while the volume is
 * about as full as it was on the first day. A script is the same for every filesystem.
 */
import { Prng } from '../src/base/prng.js'

const KIB = 1024
const BLOCK = 4096

export type Step =
  | { readonly do: 'create' | 'append'; readonly file: number; readonly bytes: number }
  | { readonly do: 'remove'; readonly file: number }

/** Of ten files seven are small, two middling, one large. */
const SIZES = [
  { share: 70, from: 4 * KIB, to: 64 * KIB },
  { share: 90, from: 64 * KIB, to: KIB * KIB },
  { share: 100, from: KIB * KIB, to: 16 * KIB * KIB },
] as const

export const DIRECTORIES = 64
export const pathOfFile = (file: number): string => `dir${file % DIRECTORIES}/file${file}`

export class Life {
  /** Files that there are now. */
  readonly files: number[] = []
  readonly #sizes = new Map<number, number>()
  readonly #prng: Prng
  readonly #target: number
  #used = 0
  #next = 0

  /** `target`: bytes of content that the volume has when it is full enough. */
  constructor(seed: number, target: number) {
    this.#prng = new Prng(seed)
    this.#target = target
  }

  /** The first day: files until the volume is full enough. */
  *fill(): Generator<Step> {
    while (this.#used < this.#target) yield this.#create()
  }

  /** A stretch of time in which `bytes` are written. */
  *go(bytes: number): Generator<Step> {
    for (let written = 0; written < bytes;) {
      // Deleting keeps up with writing: the volume stays within a few files of its target.
      if (this.#used > this.#target) yield this.#remove()
      else {
        const step = this.#prng.chance(1, 3) ? this.#append() : this.#create()
        written += step.bytes
        yield step
      }
    }
  }

  #size(): number {
    const share = this.#prng.below(100)
    const { from, to } = SIZES.find((one) => share < one.share)!
    // Even over the logarithm: as many of 8 to 16 KiB as of 16 to 32.
    return Math.round(from * (to / from) ** (this.#prng.below(1 << 20) / (1 << 20)))
  }

  #create(): Step & { bytes: number } {
    const file = this.#next++
    const bytes = this.#size()
    this.files.push(file)
    this.#grow(file, bytes)
    return { do: 'create', file, bytes }
  }

  #append(): Step & { bytes: number } {
    const file = this.#prng.pick(this.files)
    const bytes = BLOCK * (1 + this.#prng.below(64))
    this.#grow(file, bytes)
    return { do: 'append', file, bytes }
  }

  #remove(): Step {
    const index = this.#prng.below(this.files.length)
    const file = this.files[index]!
    this.files[index] = this.files[this.files.length - 1]!
    this.files.pop()
    this.#used -= blocks(this.#sizes.get(file)!)
    this.#sizes.delete(file)
    return { do: 'remove', file }
  }

  #grow(file: number, bytes: number): void {
    const before = this.#sizes.get(file) ?? 0
    this.#sizes.set(file, before + bytes)
    this.#used += blocks(before + bytes) - blocks(before)
  }
}

const blocks = (bytes: number): number => Math.ceil(bytes / BLOCK) * BLOCK
