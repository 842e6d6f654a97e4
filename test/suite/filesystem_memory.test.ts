/** The filesystem suite on memory: heap, tmpfs, memfd. SEED repeats a run. */
import { libraryCases } from './filesystem_cases.js'
import { heap, memfd, runSuite, tmpfs } from './ground.js'
import { mappingCases, unmappableCases } from './mappings.js'

runSuite([heap], [...libraryCases, ...unmappableCases])
runSuite([tmpfs, memfd], [...libraryCases, ...mappingCases])
