/** Calls of the operating system. */
import { ERRNO, HoldfastError, type ErrorCode, type ErrorContext } from './errors.js'

/** An error of the operating system, as ours; what has no code of ours stays as it is. */
export function systemCall<T>(syscall: string, path: string, call: () => T): T {
  try {
    return call()
  } catch (error) {
    throw systemError(error, { syscall, path })
  }
}

export function systemError(error: unknown, context: ErrorContext): Error {
  const code = (error as NodeJS.ErrnoException).code
  if (error instanceof HoldfastError || code === undefined || !(code in ERRNO))
    return error as Error
  return new HoldfastError(code as ErrorCode, undefined, { ...context, cause: error })
}
