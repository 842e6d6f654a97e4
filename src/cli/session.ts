/** Volumes that a command has open: each once, all closed at its end. */
import assert from 'node:assert/strict'
import { realpathSync } from 'node:fs'
import { HoldfastError } from '../base/errors.js'
import type { Credentials, DirectoryEntry, FileSystem } from '../base/filesystem.js'
import type { Client } from '../client/index.js'
import type { VolumeTarget } from './arguments.js'
import { connectTo, isServer, serverOf } from './connection.js'
import { inVolume } from './failure.js'
import { isRemote, serverKey } from './volume_name.js'

/** New files belong to whom the command belongs to. */
export const USER: Credentials = {
  uid: process.getuid?.() ?? 0,
  gid: process.getgid?.() ?? 0,
  groups: process.getgroups?.() ?? [],
}

/** What is done to a volume. Several commands may read one at a time; who writes has it alone. */
export type Purpose = 'read' | 'write'

interface OpenedVolume {
  readonly files: FileSystem
  readonly purpose: Purpose
  /** Who has it open, when that is not this process. */
  readonly client: Client | null
}

const opened = new WeakMap<FileSystem, { readonly id: string; readonly client: Client | null }>()

/** In whose name files are made; undefined: the server knows who asks. */
export function creatorOf(volume: FileSystem): Credentials | undefined {
  const client = opened.get(volume)?.client ?? null
  if (client === null || client.hello.privileged) return USER
  // Whom a key stands for is the server's affair.
  return isRemote(client.where) ? undefined : USER
}

/** Another one for each volume, however it is reached. */
export function volumeId(volume: FileSystem): string {
  return opened.get(volume)?.id ?? ''
}

/** What keeps this process from opening a region that a server may have open. */
const KEPT_OUT: ReadonlySet<string> = new Set(['EBUSY', 'EACCES', 'EPERM', 'EROFS'])

export class Session implements AsyncDisposable {
  readonly #open = new Map<string, OpenedVolume>()

  /**
   * The volume of a region, opened here or, when it is open elsewhere, reached through its server;
   * or that of a server. What is written to is asked for first, so that it is opened once.
   */
  async volume(where: string, purpose: Purpose): Promise<FileSystem> {
    const key = keyOf(where)
    const known = this.#open.get(key)
    if (known !== undefined) {
      const enough = purpose === 'read' || known.purpose === 'write' || known.client !== null
      assert(enough, 'a volume opened for reading')
      if (purpose === 'write') this.#open.set(key, { ...known, purpose })
      return known.files
    }
    const one = await open(where, purpose)
    this.#open.set(key, one)
    return one.files
  }

  /** The client that a volume is reached through; null: it is open in this process. */
  async server(where: string, purpose: Purpose): Promise<Client | null> {
    await this.volume(where, purpose)
    return this.#open.get(keyOf(where))!.client
  }

  async close(): Promise<void> {
    let failure: unknown
    const keep = (error: unknown) => void (failure ??= error)
    for (const { files, purpose, client } of this.#open.values()) {
      // As with a volume of our own: what was done is durable when the command has ended.
      if (client !== null && purpose === 'write') await files.sync().catch(keep)
      await files.close().catch(keep)
    }
    this.#open.clear()
    if (failure !== undefined) throw failure
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }
}

function keyOf(where: string): string {
  if (isRemote(where)) return serverKey(where)
  try {
    return realpathSync(where)
  } catch {
    return where // opening it says what is wrong
  }
}

async function open(where: string, purpose: Purpose): Promise<OpenedVolume> {
  if (isServer(where)) return served(await connectTo(where), purpose)
  // Loaded for who opens a volume here, and not for who reaches one through its server.
  const { openVolume } = await import('../layout/embedded.js')
  const { VolumeFileSystem } = await import('../layout/filesystem.js')
  try {
    const volume = openVolume(where, { readOnly: purpose === 'read' })
    const files = new VolumeFileSystem(volume)
    opened.set(files, { id: idOf(volume.uuid), client: null })
    return { files, purpose, client: null }
  } catch (error) {
    if (!(error instanceof HoldfastError) || !KEPT_OUT.has(error.code)) throw error
    const client = await serverOf(where).catch((failure: unknown) => {
      if (error.code === 'EBUSY') throw failure // somebody is there, and says why not
      return null
    })
    if (client === null) throw error
    return served(client, purpose)
  }
}

function served(client: Client, purpose: Purpose): OpenedVolume {
  opened.set(client, { id: idOf(client.hello.volume), client })
  return { files: client, purpose, client }
}

const idOf = (uuid: Uint8Array) => Buffer.from(uuid).toString('hex')

/** Runs `work` in a session; an error of the work goes before one of the closing. */
export async function withSession(work: (session: Session) => Promise<void>): Promise<void> {
  const session = new Session()
  try {
    await work(session)
  } catch (error) {
    await session.close().catch(() => {})
    throw error
  }
  await session.close()
}

/** Runs `work` on the volume of a target. */
export async function onVolume(
  target: VolumeTarget,
  purpose: Purpose,
  work: (volume: FileSystem, path: Buffer) => Promise<void>,
): Promise<void> {
  await withSession(async (session) => {
    const volume = await session.volume(target.region, purpose)
    await inVolume(target.region, () => work(volume, target.path))
  })
}

/** As `onVolume`, for each of several. */
export async function onVolumes(
  targets: readonly VolumeTarget[],
  purpose: Purpose,
  work: (volume: FileSystem, path: Buffer) => Promise<void>,
): Promise<void> {
  await withSession(async (session) => {
    for (const { region, path } of targets) {
      const volume = await session.volume(region, purpose)
      await inVolume(region, () => work(volume, path))
    }
  })
}

const LIST_STEP = 1000

/** All entries of a directory, a thousand at a time; what changes meanwhile does no harm. */
export async function* entriesOf(
  volume: FileSystem,
  path: Uint8Array,
): AsyncGenerator<DirectoryEntry> {
  for (let cookie = 0; ;) {
    const some = await volume.readdir(path, cookie, LIST_STEP)
    yield* some
    if (some.length < LIST_STEP) return
    cookie = some[some.length - 1]!.cookie
  }
}

const SLASH = 0x2f

/** A path and a name below it. */
export function joinPath(path: Uint8Array, name: Uint8Array): Buffer {
  const separator = path.length > 0 && path[path.length - 1] !== SLASH ? [Buffer.from('/')] : []
  return Buffer.concat([path, ...separator, name])
}

/** The last name of a path, trailing slashes ignored; empty for the root. */
export function baseName(path: Uint8Array): Buffer {
  let end = path.length
  while (end > 0 && path[end - 1] === SLASH) end--
  const bytes = Buffer.from(path.subarray(0, end))
  return bytes.subarray(bytes.lastIndexOf(SLASH) + 1)
}

/** The directory that the last name of a path is in. */
export function parentOf(path: Uint8Array): Buffer {
  let end = path.length
  while (end > 0 && path[end - 1] === SLASH) end--
  const slash = Buffer.from(path.subarray(0, end)).lastIndexOf(SLASH)
  if (slash < 0) return Buffer.from('.')
  return Buffer.from(path.subarray(0, slash + 1))
}

/** Whether a directory is there, or a link to one. */
export async function isDirectory(volume: FileSystem, path: Buffer): Promise<boolean> {
  return volume.stat(path).then(
    (stats) => stats.type === 'directory',
    () => false,
  )
}
