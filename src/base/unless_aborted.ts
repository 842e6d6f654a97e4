/** Waiting for what goes on, though nobody may wait for it any more. */
import { HoldfastError } from './errors.js'

/** What comes of a promise; EINTR when the signal comes before. */
export function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const abort = () => reject(new HoldfastError('EINTR', 'the wait was given up'))
    if (signal.aborted) abort()
    else signal.addEventListener('abort', abort, { once: true })
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort))
  })
}
