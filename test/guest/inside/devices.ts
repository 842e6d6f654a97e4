/** Runs in the guest: the filesystem suite on device-DAX and on files with DAX. */
import { contentCases } from '../../suite/content.js'
import { fullCases } from '../../suite/full.js'
import { devdax, filesIn, runSuite } from '../../suite/ground.js'
import { linkCases } from '../../suite/links.js'
import { nameCases } from '../../suite/names.js'
import {
  DAX_FILESYSTEMS,
  makeFilesystem,
  mountFilesystem,
  persistentMemory,
} from './namespaces.js'

const memory = persistentMemory()
const grounds = DAX_FILESYSTEMS.map((type) => {
  makeFilesystem(memory, type)
  return filesIn(`fsdax, ${type}`, mountFilesystem(memory, type))
})
runSuite(
  [devdax(memory.dax), ...grounds],
  [...nameCases, ...linkCases, ...contentCases, ...fullCases],
)
