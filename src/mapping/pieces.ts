/**
 * How many pieces of address space all mappings of the process together may have.
 *
 * The kernel counts them (vm.max_map_count), and an engine that can get no more dies. So a part of
 * them is left alone, and who would take it gets ENOMEM.
 */
import { readFileSync } from 'node:fs'
import { HoldfastError } from '../base/errors.js'

const FILE = '/proc/sys/vm/max_map_count'
/** The kernel's own, for when it does not tell. */
const DEFAULT_MAX = 65_530
let kernelMax = 0
let used = 0

/** Pieces that may still be taken. */
export function piecesLeft(): number {
  if (kernelMax === 0) {
    try {
      kernelMax = Number(readFileSync(FILE, 'utf8'))
    } catch {
      kernelMax = DEFAULT_MAX
    }
  }
  return kernelMax - Math.floor(kernelMax / 8) - used
}

/** ENOMEM when `count` more are more than there may be. */
export function takePieces(count: number): void {
  const left = piecesLeft()
  if (count > left) {
    throw tooManyPieces(
      `${count} pieces of a file to map, ${used} mapped, and ${left} more are allowed`,
    )
  }
  used += count
}

export function givePieces(count: number): void {
  used -= count
}

export function tooManyPieces(what: string, cause?: unknown): HoldfastError {
  return new HoldfastError(
    'ENOMEM',
    `${what}; raise vm.max_map_count (sysctl), map less at a time, or have the file in fewer extents`,
    { cause },
  )
}
