/**
 * Asking for what is often not there. An error with its stack takes longer to make than the rest of
 * a lookup, and who is told "no such file" by a program's own errno never sees that stack.
 */
export function quietly<T>(ask: () => Promise<T>): Promise<T> {
  const limit = Error.stackTraceLimit
  Error.stackTraceLimit = 0
  try {
    return ask()
  } finally {
    Error.stackTraceLimit = limit
  }
}
