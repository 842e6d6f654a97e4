/** A ground with files of their own content, and the calls that most tests of holds begin with. */
import assert from 'node:assert/strict'
import { HoldfastError } from '../../src/base/errors.js'
import { BLOCK_BYTES as B } from '../../src/base/limits.js'
import type { LayoutFile } from '../../src/layout/file.js'
import type { HoldOptions, LeaseOptions } from '../../src/layout/grants.js'
import type { Hold } from '../../src/layout/hold.js'
import type { Session } from '../../src/layout/session.js'
import { assertBytes, assertRefused, blocksOf, Ground, type GroundOptions } from './ground.js'
import type { Outcome } from './timers.js'

/** Blocks of a file that nothing else is said of. */
export const BLOCKS = 8

type Range = readonly [from: number, to: number]

export class Scene extends Ground {
  constructor(options: GroundOptions = {}) {
    super(options)
    this.make('/f')
    // Limbo gets an inode with the first hold: not in a call that is to change nothing.
    this.pin('/f', [0, 1]).release()
  }

  make(path: string, blocks = BLOCKS): void {
    using file = this.volume.open(path, 'wx+')
    file.write(blocksOf(path, 0, blocks), 0)
  }

  /** Runs with a handle of a session; null: of this program itself. */
  as<T>(session: Session | null, path: string, run: (file: LayoutFile) => T): T {
    using file =
      session === null ? this.volume.open(path, 'r+') : this.volume.openAs(session, path, 'r+')
    return run(file)
  }

  /** A pin of file blocks [from, to), of somebody else. */
  pin(path: string, [from, to]: Range = [0, BLOCKS], options: HoldOptions = {}): Hold {
    const range = { offset: from * B, length: (to - from) * B }
    return this.as(this.other, path, (file) => file.pin({ ...range, ...options }))
  }

  /** A lease for reading of file blocks [from, to), of somebody else. */
  lease(
    path: string,
    [from, to]: Range = [0, BLOCKS],
    options: Partial<LeaseOptions> = {},
    session = this.other,
  ): Hold {
    const range = { offset: from * B, length: (to - from) * B }
    return this.as(session, path, (file) => file.lease({ iomode: 'read', ...range, ...options }))
  }

  /** Region blocks of file blocks [from, to). */
  places(path: string, [from, to]: Range = [0, BLOCKS]): (number | null)[] {
    return Array.from({ length: to - from }, (_, i) => this.place(path, from + i))
  }

  block(path: string, block: number): Uint8Array {
    return this.volume.readFile(path).subarray(block * B, (block + 1) * B)
  }

  /** A file has the bytes of `tag`, all of them. */
  assertFile(path: string, tag = path, blocks = BLOCKS): void {
    assertBytes(this.volume.readFile(path), blocksOf(tag, 0, blocks), path)
  }

  /** The call is refused, names these holds, and has changed nothing of files or holds. */
  refused(
    code: string,
    holds: readonly { readonly id: number }[],
    run: () => unknown,
  ): HoldfastError {
    const before = this.image()
    const listed = JSON.stringify(this.volume.holds())
    const error = errorOf(run)
    assertRefused(error, code, holds, 'the call')
    this.assertSameImage(before, 'the call')
    assert.equal(JSON.stringify(this.volume.holds()), listed, 'the holds are as they were')
    return error
  }
}

/** What a call is refused with. */
export function errorOf(run: () => unknown): HoldfastError {
  try {
    run()
  } catch (error) {
    if (error instanceof HoldfastError) return error
    throw error
  }
  assert.fail('it was not refused')
}

/** The errno of a call, or 'done'. */
export function codeOf(run: () => unknown): string {
  try {
    run()
  } catch (error) {
    if (error instanceof HoldfastError) return error.code
    throw error
  }
  return 'done'
}

/** How a promise stands: 'waits', 'done', or an errno. */
export function stateOf({ settled, error }: Outcome<unknown>): string {
  if (!settled) return 'waits'
  if (error === undefined) return 'done'
  if (error instanceof HoldfastError) return error.code
  throw error as Error
}
