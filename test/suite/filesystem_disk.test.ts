/** The filesystem suite on a disk, in both sync modes, and on huge pages. SEED repeats a run. */
import { libraryCases } from './filesystem_cases.js'
import { fileAlways, fileGroup, hugetlbfs, runSuite } from './ground.js'
import { grainCases, mappingCases } from './mappings.js'

runSuite([fileGroup, fileAlways], [...libraryCases, ...mappingCases])
runSuite([hugetlbfs], [...libraryCases, ...grainCases])
