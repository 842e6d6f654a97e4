/** The filesystem suite over a server: of a client on its machine, and of a remote one. */
import { argumentCases } from '../suite/arguments.js'
import { contentCases } from '../suite/content.js'
import { fullCases } from '../suite/full.js'
import { runSuite } from '../suite/ground.js'
import { handleCases } from '../suite/handles.js'
import { linkCases } from '../suite/links.js'
import { nameCases } from '../suite/names.js'
import { posixCase } from '../suite/posix.js'
import { posixCases } from '../suite/posix_cases.js'
import { cloneCases } from '../suite/posix_cloning.js'
import { local, remote } from './setups.js'

const cases = [
  ...nameCases,
  ...linkCases,
  ...contentCases,
  ...handleCases,
  ...fullCases,
  ...argumentCases,
]
const posix = [...posixCases, ...cloneCases].map(posixCase)
runSuite([local], [...cases, ...posix])

/** What the server does not see moves no time. */
const UNSEEN = 'atime is relatime: a second read does not move it, one after a change does'
runSuite(
  [remote],
  [...cases, ...posix].filter(({ name }) => name !== UNSEEN),
)
