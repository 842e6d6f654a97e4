/** The filesystem suite: what every FileSystem does, and what the library's own refuse besides. */
import { argumentCases } from './arguments.js'
import { contentCases } from './content.js'
import { fullCases } from './full.js'
import type { Case } from './ground.js'
import { handleCases } from './handles.js'
import { linkCases } from './links.js'
import { nameCases } from './names.js'

export const filesystemCases: readonly Case[] = [
  ...nameCases,
  ...linkCases,
  ...contentCases,
  ...handleCases,
  ...fullCases,
]

/** System calls have no room for arguments that are of no type. */
export const libraryCases: readonly Case[] = [...filesystemCases, ...argumentCases]
