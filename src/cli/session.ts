/** Volumes that a command has open: each once, all closed at its end. */
import assert from 'node:assert/strict'
import { realpathSync } from 'node:fs'
import type { Credentials, DirectoryEntry, FileSystem } from '../base/filesystem.js'
import { openVolume } from '../layout/embedded.js'
import { VolumeFileSystem } from '../layout/filesystem.js'
import type { VolumeTarget } from './arguments.js'
import { inVolume } from './failure.js'

/** New files belong to whom the command belongs to. */
export const USER: Credentials = {
  uid: process.getuid?.() ?? 0,
  gid: process.getgid?.() ?? 0,
}

/** What is done to a volume. Several commands may read one at a time; who writes has it alone. */
export type Purpose = 'read' | 'write'

interface OpenedVolume {
  readonly files: FileSystem
  readonly purpose: Purpose
}

export class Session implements AsyncDisposable {
  readonly #open = new Map<string, OpenedVolume>()

  /** The volume in a region. What is written to is asked for first, so that it is opened once. */
  volume(region: string, purpose: Purpose): FileSystem {
    let key = region
    try {
      key = realpathSync(region)
    } catch {
      // Opening it says what is wrong.
    }
    const known = this.#open.get(key)
    if (known !== undefined) {
      assert(purpose === 'read' || known.purpose === 'write', 'a volume opened for reading')
      return known.files
    }
    const files = new VolumeFileSystem(openVolume(region, { readOnly: purpose === 'read' }))
    this.#open.set(key, { files, purpose })
    return files
  }

  async close(): Promise<void> {
    let failure: unknown
    for (const { files } of this.#open.values()) {
      await files.close().catch((error: unknown) => (failure ??= error))
    }
    this.#open.clear()
    if (failure !== undefined) throw failure
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }
}

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
    const volume = session.volume(target.region, purpose)
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
      const volume = session.volume(region, purpose)
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
