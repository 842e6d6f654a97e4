/** Every call and errno on a disk, in both sync modes, and on huge pages. */
import { fileAlways, fileGroup, hugetlbfs, runSuite } from './ground.js'
import { posixCase } from './posix.js'
import { posixCases } from './posix_cases.js'
import { cloneCases } from './posix_cloning.js'
import { fullCases } from './posix_full.js'
import { timeCases } from './posix_times.js'

runSuite([fileGroup, hugetlbfs], [...posixCases, ...cloneCases, ...fullCases].map(posixCase))
// Where every call waits for the disk, those on times, which never touch it, are left out.
const waiting = posixCases.filter((one) => !timeCases.includes(one))
runSuite([fileAlways], [...waiting, ...cloneCases].map(posixCase))
