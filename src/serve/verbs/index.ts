/** What a server does for each verb. */
import type { Handlers } from '../../control/answerer.js'
import type { ClientSession } from '../client_session.js'
import { proving } from '../proof.js'
import { attributeVerbs } from './attributes.js'
import { fileVerbs } from './files.js'
import { holdVerbs } from './holds.js'
import { layoutVerbs } from './layouts.js'
import { lockVerbs } from './locks.js'
import { nameVerbs } from './names.js'
import { sessionVerbs } from './session.js'

export const HANDLERS: Handlers<ClientSession> = {
  ...sessionVerbs,
  ...proving(nameVerbs),
  ...fileVerbs,
  ...proving({ open: fileVerbs.open }),
  ...proving(attributeVerbs),
  ...proving(layoutVerbs),
  ...lockVerbs,
  ...holdVerbs,
}
