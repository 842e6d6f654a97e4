/** The filesystem suite over a server: of a client on its machine, and of a remote one. */
import { libraryCases } from '../suite/filesystem_cases.js'
import { runSuite } from '../suite/ground.js'
import { posixCase } from '../suite/posix.js'
import { posixCases } from '../suite/posix_cases.js'
import { cloneCases } from '../suite/posix_cloning.js'
import { local, remote } from './setups.js'

const posix = [...posixCases, ...cloneCases].map(posixCase)
runSuite([local], [...libraryCases, ...posix])

/** What the server does not see moves no time. */
const UNSEEN = 'atime is relatime: a second read does not move it, one after a change does'
runSuite(
  [remote],
  [...libraryCases, ...posix].filter(({ name }) => name !== UNSEEN),
)
