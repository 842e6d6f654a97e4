/** The filesystem suite on a disk, in both sync modes, and on huge pages. SEED repeats a run. */
import { argumentCases } from './arguments.js'
import { contentCases } from './content.js'
import { fullCases } from './full.js'
import { handleCases } from './handles.js'
import { fileAlways, fileGroup, hugetlbfs, runSuite } from './ground.js'
import { linkCases } from './links.js'
import { grainCases, mappingCases } from './mappings.js'
import { nameCases } from './names.js'

const cases = [
  ...nameCases,
  ...linkCases,
  ...contentCases,
  ...handleCases,
  ...fullCases,
  ...argumentCases,
]
runSuite([fileGroup, fileAlways], [...cases, ...mappingCases])
runSuite([hugetlbfs], [...cases, ...grainCases])
