/** Calls of the operating system. */
import { HoldfastError, type ErrorCode, ERRNO } from '../base/errors.js'

/** An error of the operating system, as ours. */
export function systemCall<T>(syscall: string, path: string, call: () => T): T {
  try {
    return call()
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code
    if (code === undefined || !(code in ERRNO)) throw error
    throw new HoldfastError(code as ErrorCode, undefined, { syscall, path, cause: error })
  }
}
