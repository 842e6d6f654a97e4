/** holdfast touch: times of files, and empty files. */
import { statSync } from 'node:fs'
import { InvalidArgumentError, type Command } from 'commander'
import { HoldfastError } from '../../base/errors.js'
import type { FileSystem, Time } from '../../base/filesystem.js'
import { parseTarget, parseVolumeTargets, type Target, type VolumeTarget } from '../arguments.js'
import { inVolume } from '../failure.js'
import { timestampOf } from '../host_place.js'
import { newFileMode } from '../mode.js'
import { examples, NO_FOLLOW_OPTION } from '../options.js'
import { creatorOf, withSession, type Session } from '../session.js'

interface Options {
  readonly access?: boolean
  readonly modification?: boolean
  readonly date?: Time
  readonly reference?: Target
  /** `-c` makes it false. */
  readonly create: boolean
  /** `-h` makes it false. */
  readonly dereference: boolean
}

interface Times {
  readonly atime: Time
  readonly mtime: Time
}

export function touchCommand(program: Command): Command {
  return program
    .command('touch')
    .summary('set the times of files, and make empty ones')
    .description(
      'Sets the times of each file to now, or to those of -d or -r. A file that is not there is made, ' +
        'empty.',
    )
    .argument('<volume:path...>', 'files and directories', parseVolumeTargets)
    .option('-a, --access', 'only the time of the last access')
    .option('-m, --modification', 'only the time of the last modification')
    .option('-c, --no-create', 'make no files')
    .option(
      '-d, --date <time>',
      'a time as 2026-01-02T03:04:05.6Z, or @SECONDS since 1970 with up to nine decimals',
      parseTime,
    )
    .option(
      '-r, --reference <file>',
      'the times of this file, VOLUME:PATH or of the host',
      parseTarget,
    )
    .option(...NO_FOLLOW_OPTION)
    .addHelpText(
      ...examples(
        'holdfast touch v.hf:/a.txt',
        'holdfast touch -m -d 2026-01-02T03:04:05Z v.hf:/a.txt',
        'holdfast touch -d @1000000000.000000001 v.hf:/a.txt',
        'holdfast touch -r ./original v.hf:/copy',
      ),
    )
    .action(touch)
}

export function parseTime(text: string): Time {
  if (text === 'now') return 'now'
  const since = /^@(-?)(\d+)(?:\.(\d{1,9}))?$/.exec(text)
  if (since !== null) {
    const [, sign, whole = '', part = ''] = since
    const seconds = Number(whole)
    const nanoseconds = Number(part.padEnd(9, '0'))
    if (sign !== '-') return { seconds, nanoseconds }
    if (nanoseconds === 0) return { seconds: -seconds, nanoseconds }
    return { seconds: -seconds - 1, nanoseconds: 1_000_000_000 - nanoseconds }
  }
  const ms = Date.parse(text)
  if (!Number.isNaN(ms)) return new Date(ms)
  throw new InvalidArgumentError('a time is like 2026-01-02T03:04:05Z, or @SECONDS, or now')
}

async function touch(targets: VolumeTarget[], options: Options): Promise<void> {
  const { access = false, modification = false, date, reference, create, dereference } = options
  await withSession(async (session) => {
    const from: Times =
      reference === undefined
        ? { atime: date ?? 'now', mtime: date ?? 'now' }
        : await timesOf(session, reference, targets)
    const times: Times = {
      atime: modification && !access ? 'omit' : from.atime,
      mtime: access && !modification ? 'omit' : from.mtime,
    }
    for (const { region, path } of targets) {
      const volume = await session.volume(region, 'write')
      await inVolume(region, () => setTimes(volume, path, times, create, dereference))
    }
  })
}

async function timesOf(
  session: Session,
  { region, path }: Target,
  targets: readonly VolumeTarget[],
): Promise<Times> {
  if (region === null) {
    const { atimeNs, mtimeNs } = statSync(path, { bigint: true })
    return { atime: timestampOf(atimeNs), mtime: timestampOf(mtimeNs) }
  }
  const written = targets.some((target) => target.region === region)
  const volume = await session.volume(region, written ? 'write' : 'read')
  const stats = await inVolume(region, () => volume.stat(path))
  return {
    atime: { seconds: stats.atimeSeconds, nanoseconds: stats.atimeNanoseconds },
    mtime: { seconds: stats.mtimeSeconds, nanoseconds: stats.mtimeNanoseconds },
  }
}

async function setTimes(
  volume: FileSystem,
  path: Buffer,
  { atime, mtime }: Times,
  create: boolean,
  follow: boolean,
): Promise<void> {
  const set = () => volume.utimes(path, atime, mtime, { follow })
  try {
    await set()
  } catch (error) {
    if (!(error instanceof HoldfastError) || error.code !== 'ENOENT') throw error
    if (!create || !follow) return
    await (await volume.open(path, 'a', newFileMode(), creatorOf(volume))).close()
    await set()
  }
}
