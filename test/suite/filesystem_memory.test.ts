/** The filesystem suite on memory: heap, tmpfs, memfd. SEED repeats a run. */
import { argumentCases } from './arguments.js'
import { contentCases } from './content.js'
import { fullCases } from './full.js'
import { handleCases } from './handles.js'
import { heap, memfd, runSuite, tmpfs } from './ground.js'
import { linkCases } from './links.js'
import { mappingCases, unmappableCases } from './mappings.js'
import { nameCases } from './names.js'

const cases = [
  ...nameCases,
  ...linkCases,
  ...contentCases,
  ...handleCases,
  ...fullCases,
  ...argumentCases,
]
runSuite([heap], [...cases, ...unmappableCases])
runSuite([tmpfs, memfd], [...cases, ...mappingCases])
