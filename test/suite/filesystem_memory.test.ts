/** The filesystem suite on memory: heap, tmpfs, memfd. SEED repeats a run. */
import { contentCases } from './content.js'
import { fullCases } from './full.js'
import { heap, memfd, runSuite, tmpfs } from './ground.js'
import { linkCases } from './links.js'
import { nameCases } from './names.js'

runSuite([heap, tmpfs, memfd], [...nameCases, ...linkCases, ...contentCases, ...fullCases])
