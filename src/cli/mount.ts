/**
 * A volume at a directory until a signal, or umount(8), ends that.
 *
 * Invariant: the line on stdout comes when programs can come in; what is mounted is taken away
 * before the volume is closed, and that before the process ends.
 */
import { realpathSync } from 'node:fs'
import { HoldfastError } from '../base/errors.js'
import type { Client } from '../client/index.js'
import { Mount } from '../fuse/mount.js'
import { connectToLast } from './connection.js'
import { CommandError } from './failure.js'
import { systemTimers } from '../base/timers.js'
import { Log } from '../serve/log.js'
import { ServiceManager } from './service_manager.js'
import { lastUntilStopped } from './interrupt.js'
import type { MountWords } from './mount_options.js'
import { withSession, type Session } from './session.js'
import { isRemote } from './volume_name.js'

/** Milliseconds between two looks at a server, once all is unmounted. */
const LOST_MS = 200
/** And that one has for its last answers. */
const SILENT_MS = 10_000
/** Of a connection that is gone, or was given up. */
const LOST: ReadonlySet<string> = new Set(['ECONNRESET', 'ETIMEDOUT', 'EINTR'])

export interface MountRequest {
  readonly source: string
  readonly directory: string
  readonly words: MountWords
  /** Programs can come in. */
  readonly mounted: () => Promise<void>
}

export async function runMount(request: MountRequest): Promise<void> {
  await lastUntilStopped(
    (stopped) => untilUnmounted(request, stopped),
    () => {},
  )
}

async function untilUnmounted(request: MountRequest, stopped: AbortSignal): Promise<void> {
  let left = false
  try {
    await withSession(async (session) => {
      await mount(session, request, stopped)
      left = true
    })
  } catch (error) {
    // It is unmounted, and whom it could tell so is gone.
    if (!left || !(error instanceof HoldfastError) || !LOST.has(error.code)) throw error
    stderrLog().warn('the server was lost', { error })
  }
}

async function mount(
  session: Session,
  { source, directory, words, mounted }: MountRequest,
  stopped: AbortSignal,
): Promise<void> {
  const { mode, readOnly } = words
  const log = stderrLog()
  const place = realDirectory(directory)
  connectToLast(words.wait, words.key)
  const files = await session.volume(source, readOnly ? 'read' : 'write')
  const client = await session.server(source, readOnly ? 'read' : 'write')
  if (mode === 'exclusive' && client !== null) {
    throw new HoldfastError('EINVAL', `${source} is open elsewhere: exclusive is for one user`)
  }
  const privileged = client === null || client.hello.privileged
  const it = await Mount.at(place, files, {
    source,
    ...mountWish(words),
    tells: privileged,
    tellsAlways: client === null,
    alone: client === null,
    reachable: () => client === null || client.connection.alive !== null,
    decides: privileged,
    failed: (error) => log.error('a request failed', { error: error as Error }),
  })
  if (client !== null) {
    const { coherence } = it.session
    const held = async () => {
      if (privileged) await coherence.releaseHeld(await client.holds(), client.hello.session)
    }
    if (privileged) client.keepsPages((ino) => coherence.release(ino))
    await client.watching
    await held()
    client.onEventsLost = () => void coherence.doubt()
    client.onConnected = () => {
      void coherence.doubt()
      // Who lost it again meanwhile connects again.
      held().catch(() => {})
    }
  }
  await mounted()
  const manager = new ServiceManager(log)
  manager.ready(`mounted at ${place}`, () => true)
  await Promise.race([it.over, aborted(stopped)])
  manager.stopping()
  if (!(await it.leave())) {
    log.warn('programs were in it, or something else is mounted above', { directory: place })
  }
  if (client !== null) giveUpSoon(client)
}

const aborted = (signal: AbortSignal) =>
  new Promise<void>((resolve) => {
    if (signal.aborted) resolve()
    else signal.addEventListener('abort', () => resolve(), { once: true })
  })

const stderrLog = () =>
  new Log({
    timers: systemTimers,
    format: 'text',
    level: 'info',
    write: (line) => void process.stderr.write(line),
  })

/** From now on nobody waits for a server that is lost, or for long for one that says nothing. */
function giveUpSoon(client: Client): void {
  const look = () => {
    if (client.connection.alive === null) client.interrupt()
  }
  setInterval(look, LOST_MS).unref()
  // Being asked to give a call up is one more thing that it would have to answer.
  setInterval(() => client.connection.alive?.caller.abort(), SILENT_MS).unref()
}

/** What is asked of mount(2): root lets others in, and may have set-id programs and devices. */
export function mountWish({ mode, readOnly, allowOther, suid, dev, exec }: MountWords) {
  const root = process.getuid!() === 0
  return {
    mode,
    readOnly,
    exec,
    allowOther: allowOther ?? root,
    suid: suid && root,
    dev: dev && root,
  }
}

/** The kernel names mounts by their path without symlinks. */
export function realDirectory(directory: string): string {
  try {
    return realpathSync.native(directory)
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'ENOTCONN') return directory // a mount whose server is gone
    throw new CommandError(
      code === 'ENOENT'
        ? `ENOENT: ${directory}: there is no such directory; mkdir makes one to mount at`
        : `${code}: ${directory} cannot be mounted at`,
    )
  }
}

export const describeMount = ({ source, directory }: MountRequest): string =>
  `mounted ${isRemote(source) ? source : realpathSync(source)} at ${directory}`
