/** Every call and errno on memory: heap, tmpfs, memfd. */
import { heap, memfd, runSuite, tmpfs } from './ground.js'
import { posixCase } from './posix.js'
import { posixCases } from './posix_cases.js'
import { cloneCases } from './posix_cloning.js'
import { fullCases } from './posix_full.js'
import { sharingCases } from './sharing.js'

runSuite([heap, tmpfs, memfd], [...posixCases, ...cloneCases, ...fullCases].map(posixCase))
runSuite([heap], sharingCases)
