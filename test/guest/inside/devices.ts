/** Runs in the guest: what is special to persistent memory, then the filesystem suite on it. */
import { contentCases } from '../../suite/content.js'
import { fullCases } from '../../suite/full.js'
import { devdax, filesIn, runSuite } from '../../suite/ground.js'
import { linkCases } from '../../suite/links.js'
import { grainCases, mappingCases } from '../../suite/mappings.js'
import { nameCases } from '../../suite/names.js'
import { DAX_FILESYSTEMS, makeFilesystem, mountFilesystem, persistentMemory } from './namespaces.js'
import { posixCase } from '../../suite/posix.js'
import { posixCases } from '../../suite/posix_cases.js'
import { testDevDaxMappings, testFsDaxMappings } from './mappings.js'
import { testPoison } from './poison.js'
import { testDevDax, testDevDaxNode, testFsDax, testMemoryFiles } from './regions.js'

const seed = Number(process.argv[2])
const memory = persistentMemory()
testDevDax(memory)
testDevDaxNode(memory)
testDevDaxMappings(memory)
const grounds = DAX_FILESYSTEMS.map((type) => {
  makeFilesystem(memory, type)
  const directory = mountFilesystem(memory, type)
  testFsDax(memory, type, directory)
  testFsDaxMappings(type, directory, seed)
  return filesIn(`fsdax, ${type}`, directory)
})
testMemoryFiles()
testPoison('/tmp')
const cases = [
  ...nameCases,
  ...linkCases,
  ...contentCases,
  ...fullCases,
  ...posixCases.map(posixCase),
]
runSuite([devdax(memory.dax)], [...cases, ...grainCases])
// Between two filesystems with DAX only the making and growing of the file differs: half to each.
const halves = [...cases, ...mappingCases]
grounds.forEach((ground, i) =>
  runSuite(
    [ground],
    halves.filter((_, k) => k % grounds.length === i),
  ),
)
