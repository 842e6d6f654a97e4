/** A group of verbs of a server. */
import type { Handlers } from '../../control/answerer.js'
import type { VerbName } from '../../control/verbs/index.js'
import type { ClientSession } from '../client_session.js'

export type Some<V extends VerbName> = Pick<Handlers<ClientSession>, V>
