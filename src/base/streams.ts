/** Node streams over a file handle, as those of node:fs are over theirs. */
import { Readable, Writable } from 'node:stream'
import type { FileHandle, StreamOptions } from './filesystem.js'

type Bytes = Pick<FileHandle, 'read' | 'write' | 'close'>

/** Bytes of one read, unless the caller says otherwise (as fs.createReadStream has it). */
const READ_BYTES = 64 * 1024

/** Bytes `start` to `end`, included, or to the end of the file. */
export function readStreamOf(handle: Bytes, options: StreamOptions = {}): Readable {
  const { end = Infinity, highWaterMark = READ_BYTES, autoClose = true } = options
  let position = options.start ?? 0
  return new Readable({
    highWaterMark,
    read(size) {
      const wanted = Math.min(size, end - position + 1)
      if (wanted <= 0) {
        this.push(null)
        return
      }
      const buffer = Buffer.allocUnsafeSlow(wanted)
      handle.read(buffer, position).then(
        (n) => {
          position += n
          this.push(n === 0 ? null : buffer.subarray(0, n))
        },
        (error: unknown) => this.destroy(asError(error)),
      )
    },
    destroy(error, done) {
      finish(handle, autoClose, error, done)
    },
  })
}

/** Writes from byte `start` on; an append handle writes at the end. */
export function writeStreamOf(handle: Bytes, options: StreamOptions = {}): Writable {
  const { highWaterMark = READ_BYTES, autoClose = true } = options
  let position = options.start ?? 0
  return new Writable({
    highWaterMark,
    write(chunk: Uint8Array, _encoding, done) {
      handle.write(chunk, position).then(
        (n) => {
          position += n
          done()
        },
        (error: unknown) => done(asError(error)),
      )
    },
    destroy(error, done) {
      finish(handle, autoClose, error, done)
    },
  })
}

function finish(
  handle: Bytes,
  autoClose: boolean,
  error: Error | null,
  done: (error: Error | null) => void,
): void {
  if (!autoClose) return done(error)
  handle.close().then(
    () => done(error),
    (failed: unknown) => done(error ?? asError(failed)),
  )
}

function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error))
}
