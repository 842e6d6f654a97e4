/** holdfast fsck: whether a volume is sound, and making it so. */
import type { Command } from 'commander'
import { HoldfastError } from '../../base/errors.js'
import { checkVolume, type OnProgress } from '../../check/checker.js'
import { exitCode, formatReport, reportJson } from '../../check/report.js'
import { native } from '../../native/native.js'
import { openRegion } from '../../region/file_region.js'
import type { Region } from '../../region/region.js'
import { formatRepair, repairExitCode, repairJson } from '../../repair/report.js'
import { repairVolume } from '../../repair/repairer.js'
import { describeOwner } from '../../volume/inspect.js'
import { parseRegion } from '../arguments.js'
import { print, ProgressLine } from '../output.js'

interface Options {
  readonly json?: boolean
  readonly force?: boolean
  readonly repair?: boolean
  readonly dryRun?: boolean
}

export function fsckCommand(program: Command): Command {
  return program
    .command('fsck')
    .summary('check a volume, and repair it')
    .description(
      'Checks the volume in REGION. Reads only, unless --repair is given: then what is wrong is ' +
        'put right, files without a name get one in /lost+found, and what was done is told. A ' +
        'repair that is cut short is finished by the next one.',
    )
    .argument('<region>', 'path of the region', parseRegion)
    .option('--repair', 'repair what is wrong')
    .option('--dry-run', 'with --repair: say what would be done, and change nothing')
    .option('--json', 'the report as JSON')
    .option(
      '--force',
      'check also while another process has it open (what changes meanwhile is found)',
    )
    .addHelpText(
      'after',
      `
Examples:
  holdfast fsck /dev/shm/v.hf
  holdfast fsck --json ./disk.hf
  holdfast fsck --repair ./disk.hf

Exit codes: 0 clean, 1 errors repaired, 4 errors found or left, 8 could not check.`,
    )
    .action((path: string, options: Options) =>
      options.repair === true ? repair(path, options) : check(path, options),
    )
}

async function check(path: string, options: Options): Promise<void> {
  if (options.dryRun === true) throw new HoldfastError('EINVAL', '--dry-run goes with --repair')
  const region = openForCheck(path, options.force === true)
  const progress = new ProgressLine()
  try {
    const report = checkVolume(region, {
      crc32cOf: native.crc32cOf,
      onProgress: shown(progress),
    })
    progress.clear()
    await print(options.json === true ? `${reportJson(report)}\n` : formatReport(report))
    process.exitCode = exitCode(report)
  } finally {
    region.close()
  }
}

async function repair(path: string, options: Options): Promise<void> {
  if (options.force === true) {
    throw new HoldfastError('EINVAL', '--repair needs the volume for itself: not with --force')
  }
  const region = openRegion(path, { describeOwner })
  const progress = new ProgressLine()
  try {
    const report = repairVolume(region, {
      crc32cOf: native.crc32cOf,
      dryRun: options.dryRun === true,
      onProgress: shown(progress),
    })
    progress.clear()
    await print(options.json === true ? `${repairJson(report)}\n` : formatRepair(report))
    process.exitCode = repairExitCode(report)
  } finally {
    region.close()
  }
}

const shown =
  (progress: ProgressLine): OnProgress =>
  (phase, done, total) =>
    progress.show(() => `${phase}: ${total > 0 ? Math.floor((done / total) * 100) : 0}%`)

/** With its lock where that can be had, so that nobody changes it under the check. */
function openForCheck(path: string, force: boolean): Region {
  try {
    return openRegion(path, { describeOwner })
  } catch (error) {
    const code = error instanceof HoldfastError ? error.code : ''
    if (code === 'EBUSY' && !force) throw error
    if (!['EBUSY', 'EACCES', 'EPERM', 'EROFS'].includes(code)) throw error
    return openRegion(path, { readOnly: true })
  }
}
