/** Every call and errno on a disk, in both sync modes, and on huge pages. */
import { fileAlways, fileGroup, hugetlbfs, runSuite } from './ground.js'
import { posixCase } from './posix.js'
import { posixCases } from './posix_cases.js'

runSuite([fileGroup, fileAlways, hugetlbfs], posixCases.map(posixCase))
