/** What a repair did and what it left: a sentence each, under the code of the finding. */
import type { FindingCode } from '../check/codes.js'

/** Fixes that are kept; those past it are only counted. */
const FIXES_KEPT = 1000

export interface Fix {
  readonly code: FindingCode
  readonly message: string
}

export class Fixes {
  readonly kept: Fix[] = []
  /** What could not be repaired, and why. */
  readonly left: Fix[] = []
  total = 0

  add(code: FindingCode, message: string): void {
    this.total++
    if (this.kept.length < FIXES_KEPT) this.kept.push({ code, message })
  }

  leave(code: FindingCode, message: string): void {
    if (this.left.length < FIXES_KEPT) this.left.push({ code, message })
  }
}
