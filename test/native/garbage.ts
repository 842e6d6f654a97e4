/** V8's collector, for tests of what is kept, and of what ends with what is not. */
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

// A context that is made from now on has it.
setFlagsFromString('--expose-gc')

/** Collects garbage, at once: all of it, or what is young. */
export const collect = runInNewContext('gc') as (options?: { type: 'minor' }) => void
