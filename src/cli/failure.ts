/** One line for a failure: `holdfast: COMMAND: CODE: what, 'path'; remedy`. */
import { displayHolds, HoldfastError } from '../base/errors.js'
import type { HoldInfo } from '../base/layout.js'
import { printable } from './display.js'
import { fileName } from './volume_name.js'

/** The volume that an error's path is in. */
const volumes = new WeakMap<object, string>()

/** Runs `what` on a volume; an error's path is shown as the command line has it, VOLUME:PATH. */
export async function inVolume<T>(region: string, what: () => Promise<T>): Promise<T> {
  try {
    return await what()
  } catch (error) {
    if (error instanceof HoldfastError && !volumes.has(error)) volumes.set(error, region)
    throw error
  }
}

/** A handle does not know the path that it was opened by; a message should. */
export async function onFile<T>(path: Uint8Array, what: () => Promise<T>): Promise<T> {
  try {
    return await what()
  } catch (error) {
    if (!(error instanceof HoldfastError) || error.path !== undefined) throw error
    const { code, detail, holds = [] } = error
    throw new HoldfastError(code, detail, { path, holds, cause: error })
  }
}

/** A failure that is not of one call: the sentence is all there is to say. */
export class CommandError extends Error {
  override readonly name = 'CommandError'
}

const REMEDY: Readonly<Record<string, string>> = {
  'cp EISDIR': 'cp -r copies directories',
  'cp ENOSPC': 'free some space, or make a larger volume',
  'seed ENOSPC': 'free some space, or make a larger volume',
  'fallocate ENOSPC': 'free some space, or make a larger volume',
  'mv EEXIST': 'without -n it is replaced',
  'ln EEXIST': 'ln -f replaces it',
  'rm EISDIR': 'rm -r removes directories',
  'rmdir ENOTEMPTY': 'rm -r removes what is in it too',
  'rmdir ENOTDIR': 'rm removes files',
  'mkdir ENOENT': 'mkdir -p makes the directories above it',
  'mkdir EEXIST': 'mkdir -p takes a directory as it is',
  'mkfs ENOSPC': 'choose a smaller --size',
  'resize ENOSPC': 'remove files, or choose a larger --size',
  'label EBUSY': 'stop it there first: the label is of the region as a whole',
  'resize EBUSY': 'stop it there first: the region is resized as a whole',
  'mkfs EBUSY': 'stop it there first, or choose another region',
  'fsck EBUSY': 'stop it there first, or look at it as it is with fsck --force',
  'badblocks EBUSY': 'stop it there first: the list is of the region as a whole',
  'recall ESTALE': 'holdfast holds shows those that there are',
  'evict ESTALE': 'holdfast sessions shows those that there are',
  'watch EPERM': '--only holds shows what happens to holds',
  'reflink EISDIR': 'snapshot clones directories',
}

/** By a part of the sentence. */
const DETAIL_REMEDY: Readonly<Record<string, string>> = {
  'it is immutable': 'chattr -i lifts that',
  'it is append-only': 'chattr -a lifts that',
  'giving blocks a second owner: blocks are': '--share copy copies those',
  'giving blocks a second owner: it is fixed': '--share copy copies it',
  'blocks of it have other owners': 'remove its clones first, or overwrite them',
  'the volume keeps the last name': 'release them first',
  'there is no such region': 'holdfast mkfs makes one',
  'there is no such key file': 'holdfast keys make makes one',
  'the volume is static': 'cp copies without sharing',
}

/** The line, with its newline. */
export function failureLine(command: string, error: unknown): string {
  return `holdfast: ${command}: ${describe(command, error)}\n`
}

function describe(command: string, error: unknown): string {
  if (error instanceof CommandError) return error.message
  if (error instanceof HoldfastError) {
    const volume = volumes.get(error)
    const path = (text: string | undefined) => {
      if (text === undefined) return ''
      return `'${volume === undefined ? text : fileName(volume, text)}'`
    }
    const places = [path(error.path), path(error.destination)].filter((place) => place !== '')
    return finish(command, error.code, error.detail, places.join(' -> '), error.holds)
  }
  const system = error as NodeJS.ErrnoException
  if (error instanceof Error && system.code !== undefined && system.syscall !== undefined) {
    // Node's own: 'ENOENT: no such file or directory, open 'x''.
    const detail = /^\w+: (.*?), \w+/.exec(error.message)?.[1] ?? error.message
    const path = system.path === undefined ? '' : `'${String(system.path)}'`
    return finish(command, system.code, detail, path)
  }
  const stack = error instanceof Error ? error.stack : String(error)
  return `a bug of holdfast, please report it: ${stack}`
}

function finish(
  command: string,
  code: string,
  detail: string,
  place: string,
  holds: readonly HoldInfo[] = [],
): string {
  const [, byDetail] = Object.entries(DETAIL_REMEDY).find(([part]) => detail.includes(part)) ?? []
  const remedy = REMEDY[`${command} ${code}`] ?? byDetail
  const where = place === '' ? '' : `, ${place}`
  const held = holds.length === 0 ? '' : `; held: ${displayHolds(holds)}`
  return printable(`${code}: ${detail}${where}${held}${remedy === undefined ? '' : `; ${remedy}`}`)
}
