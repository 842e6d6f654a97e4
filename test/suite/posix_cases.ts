/** Every case of calls and errnos. */
import type { PosixCase } from './posix.js'
import { attributeCases } from './posix_attributes.js'
import { failingCases } from './posix_failing.js'
import { namesCases } from './posix_names.js'
import { openCases } from './posix_open.js'
import { rangeCases } from './posix_ranges.js'
import { readOnlyCases } from './posix_readonly.js'
import { setIdCases } from './posix_set_ids.js'
import { stickyCases } from './posix_sticky.js'
import { timeCases } from './posix_times.js'
import { permissionCases, walkCases } from './posix_walk.js'

export const posixCases: readonly PosixCase[] = [
  ...walkCases,
  ...permissionCases,
  ...openCases,
  ...namesCases,
  ...stickyCases,
  ...attributeCases,
  ...setIdCases,
  ...rangeCases,
  ...timeCases,
  ...failingCases,
  ...readOnlyCases,
]
