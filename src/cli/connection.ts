/**
 * Connections of a command to servers: over the socket of a region that one serves, over a network
 * for hf://HOST:PORT.
 *
 * Being told to stop gives up what is under way at the server. A connection that is lost meanwhile
 * is looked for a little while; then the call fails.
 *
 * What connects is loaded when something is to be connected to: most commands are at an end before
 * it would be there.
 */
import { statSync } from 'node:fs'
import { HoldfastError } from '../base/errors.js'
import type { Client } from '../client/index.js'
import { describeProcess } from '../region/owner.js'
import { whenStopped } from './interrupt.js'
import { isRemote } from './volume_name.js'

/** Milliseconds that a lost server is looked for. */
const PATIENCE = 10_000
/** Milliseconds that one call may take once the command was told to stop. */
const CLEANUP_CALL = 500
/** Nobody is there. */
const NOBODY: ReadonlySet<string> = new Set(['ENOENT', 'ECONNREFUSED', 'ENODEV'])

/** What the command line says of all its connections. */
let command = ''
let key: string | undefined
let patience = PATIENCE
/** It goes on after it was told to stop, until all is in order. */
let lasts = false

/** From now on `command` is what connects, with this key: FILE or FILE#ID. */
export function connectFor(name: string, spec: string | undefined): void {
  command = name
  key = spec
}

/** Connections are looked for so many seconds, and being told to stop ends no call of theirs. */
export function connectToLast(seconds: number, spec: string | undefined): void {
  patience = seconds * 1000
  lasts = true
  key = spec ?? key
}

/** Connects to the server of a region, to one at its socket, or to hf://HOST:PORT. */
export async function connectTo(where: string): Promise<Client> {
  if (isRemote(where) && (key ?? process.env['HOLDFAST_KEY'] ?? '') === '') {
    const detail = `${where} wants a key: --key FILE, or HOLDFAST_KEY with the path of one`
    throw new HoldfastError('EACCES', `${detail} (holdfast keys make, at the server)`)
  }
  const { connect } = await import('../client/connect.js')
  const client = await connect(where, {
    name: `holdfast ${command} (process ${process.pid})`,
    as: 'root',
    umask: 0, // modes come without the bits of this process's umask
    patience,
    ...(key === undefined ? {} : { key }),
  })
  if (lasts) return client
  let timer: NodeJS.Timeout | undefined
  const ignore = whenStopped(() => {
    client.interrupt()
    // What is called from now on takes back what is half done; it is not to wait for others.
    timer = setInterval(() => client.interrupt(CLEANUP_CALL), CLEANUP_CALL)
  })
  client.onClosed = () => {
    ignore()
    clearInterval(timer)
  }
  return client
}

/** The server of a region on this host; null: there is none. */
export async function serverOf(region: string): Promise<Client | null> {
  try {
    return await connectTo(region)
  } catch (error) {
    if (error instanceof HoldfastError && NOBODY.has(error.code)) return null
    throw error
  }
}

/** The server of a volume. ENOTCONN when nobody serves it. */
export async function demandServer(where: string): Promise<Client> {
  if (isServer(where)) return connectTo(where)
  const { inspectVolume } = await import('../layout/embedded.js')
  const { owner } = inspectVolume(where)
  const client = await serverOf(where)
  if (client !== null) return client
  const detail =
    owner?.alive === true
      ? `${where} is open in ${describeProcess(owner)}, which does not serve it: its holds are its own`
      : `nobody serves ${where}`
  throw new HoldfastError(
    'ENOTCONN',
    `${detail}; holdfast serve shares a volume, and has its holds`,
  )
}

/** Whether only a server can be meant: a URL, or the path of a socket. */
export function isServer(where: string): boolean {
  return isRemote(where) || statSync(where, { throwIfNoEntry: false })?.isSocket() === true
}
