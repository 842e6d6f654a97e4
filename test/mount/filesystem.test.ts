/** The filesystem suite over mounts, by system calls of a program. SEED repeats a run. */
import { contentCases } from '../suite/content.js'
import { fullCases } from '../suite/full.js'
import { runSuite } from '../suite/ground.js'
import { handleCases } from '../suite/handles.js'
import { linkCases } from '../suite/links.js'
import { nameCases } from '../suite/names.js'
import { embedded, remote, served } from './setups.js'

const cases = [...nameCases, ...linkCases, ...contentCases, ...handleCases, ...fullCases]
runSuite([embedded, served, remote], cases)
