/**
 * A control connection: who is at its other end, and the session that it carries.
 *
 * Invariants:
 * - before it is known who is there nothing of the volume is said, and messages are short;
 * - who does not say it, or does not say HELLO, in time, is left.
 */
import { closeSync } from 'node:fs'
import type { ByteStream } from '../base/byte_stream.js'
import { HoldfastError } from '../base/errors.js'
import { Answerer } from '../control/answerer.js'
import { MARK_BYTES } from '../control/channel.js'
import type { Acceptor } from '../control/handshake.js'
import { type Established } from '../control/handshake.js'
import { ClientSession } from './client_session.js'
import type { Principal } from './principal.js'
import type { Server } from './server.js'
import { HANDLERS } from './verbs/index.js'

/** From the connection to HELLO. */
const GREETING_MILLISECONDS = 10_000

/** How a remote client shows who it is. */
export interface Gate {
  acceptor(): Acceptor
  /** It has shown its key: who that is; null: the key was removed meanwhile. */
  established(session: ClientSession, established: Established, peer: string): Principal | null
}

export interface ConnectionOptions {
  readonly stream: ByteStream
  /** Who it is, where the kernel has said so. */
  readonly principal?: Principal
  readonly gate?: Gate
}

/** Serves the other end of a stream, until it ends. */
export function serveConnection(server: Server, options: ConnectionOptions): ClientSession {
  const { stream, principal, gate } = options
  const session = new ClientSession(server, principal === undefined)
  const answerer: Answerer<ClientSession> = new Answerer(stream, server.timers, session, HANDLERS, {
    heard: () => (session.heard = server.timers.now()),
    answered: (verb, running, total, error) => server.answered(verb, running, total, error),
    bug: (verb, error) => server.bug(verb, error),
    spare: (fd) => closeSync(fd),
    ended: (error) => {
      cancel()
      server.connections--
      server.unknown.delete(session)
      void server.left(session, error)
    },
  })
  server.connections++
  const late = () => answerer.abort(new HoldfastError('ETIMEDOUT', 'it did not say who it is'))
  const cancel = server.timers.after(GREETING_MILLISECONDS, late)
  session.attach({
    tell: (name, body) => answerer.tell(name, body),
    tellEvent: (name, body) => answerer.tellEvent(name, body),
    attach: (fd) => answerer.channel.attach(fd),
    received: () => stream.takeDescriptors?.()[0]?.fd ?? null,
    greeted: () => {
      cancel()
      // To show what it maps. Of who may not, none is taken in.
      if (server.files.volume.inGrace && session.mayMap) stream.wantDescriptors?.(1)
      answerer.greeted()
    },
    caughtUp: () => answerer.channel.caughtUp(),
    close: () => answerer.close(),
    abort: (why) => answerer.abort(why),
  })
  server.unknown.add(session)
  if (principal !== undefined) session.identify(principal)
  else answerer.gate = handshake(server, session, answerer, gate!)
  return session
}

/** Takes the messages of a handshake. */
function handshake(
  server: Server,
  session: ClientSession,
  answerer: Answerer<ClientSession>,
  gate: Gate,
): (message: Uint8Array) => void {
  const { stream } = answerer.channel
  const acceptor = gate.acceptor()
  return (message) => {
    const { send, established, refused } = acceptor.receive(message)
    if (send !== null) answerer.channel.send(marked(send))
    if (refused !== null) {
      server.metrics.refused()
      server.log.warn('a client was refused', { peer: stream.peer, why: refused })
      return answerer.close()
    }
    if (established === null) return
    const principal = gate.established(session, established, stream.peer)
    if (principal === null) return answerer.abort(new HoldfastError('EACCES', 'its key is gone'))
    session.identify(principal)
    answerer.gate = null
  }
}

/** A message with room for its mark. */
export function marked(message: Uint8Array): Uint8Array {
  const framed = new Uint8Array(MARK_BYTES + message.length)
  framed.set(message, MARK_BYTES)
  return framed
}
