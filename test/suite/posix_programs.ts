/** Cases of what programs alone can do, on Linux and in a mount: see system_calls.ts. */
import type { PosixCase } from './posix.js'
import { flagCases } from './posix_program_flags.js'
import { handleCases } from './posix_program_handles.js'
import { limitCases } from './posix_program_limits.js'
import { pathCases } from './posix_program_paths.js'

export const programCases: readonly PosixCase[] = [
  ...pathCases,
  ...handleCases,
  ...flagCases,
  ...limitCases,
]
