/** The filesystem suite over a server: of a client on its machine, and of a remote one. */
import { contentCases } from './content.js'
import { fullCases } from './full.js'
import { runSuite } from './ground.js'
import { handleCases } from './handles.js'
import { linkCases } from './links.js'
import { nameCases } from './names.js'
import { posixCase } from './posix.js'
import { posixCases } from './posix_cases.js'
import { cloneCases } from './posix_cloning.js'
import { local, remote } from './served.js'

const cases = [...nameCases, ...linkCases, ...contentCases, ...handleCases, ...fullCases]
const posix = [...posixCases, ...cloneCases].map(posixCase)
runSuite([local], [...cases, ...posix])

/** What the server does not see moves no time. */
const UNSEEN = 'atime is relatime: a second read does not move it, one after a change does'
runSuite(
  [remote],
  [...cases, ...posix].filter(({ name }) => name !== UNSEEN),
)
