/** Waits that a signal ends. */
import { HoldfastError } from '../base/errors.js'

/** What a promise comes to; EINTR when it is given up before. */
export async function interruptible<T>(promise: Promise<T>, signal?: AbortSignal): Promise<T> {
  if (signal === undefined) return promise
  let stop = () => {}
  const stopped = new Promise<never>((_, reject) => {
    stop = () => reject(new HoldfastError('EINTR', 'the call was given up'))
    if (signal.aborted) stop()
    signal.addEventListener('abort', stop)
  })
  try {
    return await Promise.race([promise, stopped])
  } finally {
    signal.removeEventListener('abort', stop)
  }
}
