/** What a peer did that ends the stream, with the error that a Terminate message tells him. */
import { errorName, type ErrorCode } from './wire/terminate.js'

export class ProtocolError extends Error {
  override readonly name = 'ProtocolError'
  readonly error: ErrorCode

  constructor(error: ErrorCode, detail: string) {
    super(`${errorName(...error)}: ${detail}`)
    this.error = error
  }
}
