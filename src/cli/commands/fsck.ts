/** holdfast fsck: whether a volume is sound. */
import type { Command } from 'commander'
import { HoldfastError } from '../../base/errors.js'
import { checkVolume } from '../../check/checker.js'
import { exitCode, formatReport, reportJson } from '../../check/report.js'
import { native } from '../../native/native.js'
import { openRegion } from '../../region/file_region.js'
import type { Region } from '../../region/region.js'
import { describeOwner } from '../../volume/inspect.js'
import { parseRegion } from '../arguments.js'
import { print, ProgressLine } from '../output.js'

interface Options {
  readonly json?: boolean
  readonly force?: boolean
}

export function fsckCommand(program: Command): Command {
  return program
    .command('fsck')
    .summary('check a volume')
    .description('Checks the volume in REGION. Reads only: nothing in it is changed.')
    .argument('<region>', 'path of the region', parseRegion)
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

Exit codes: 0 clean, 4 errors found, 8 could not check.`,
    )
    .action(check)
}

async function check(path: string, options: Options): Promise<void> {
  const region = openForCheck(path, options.force === true)
  const progress = new ProgressLine()
  try {
    const report = checkVolume(region, {
      crc32cOf: native.crc32cOf,
      onProgress: (phase, done, total) =>
        progress.show(() => `${phase}: ${total > 0 ? Math.floor((done / total) * 100) : 0}%`),
    })
    progress.clear()
    await print(options.json === true ? `${reportJson(report)}\n` : formatReport(report))
    process.exitCode = exitCode(report)
  } finally {
    region.close()
  }
}

/** With its lock where that can be had, so that nobody changes it under the check. */
function openForCheck(path: string, force: boolean): Region {
  try {
    return openRegion(path, { describeOwner })
  } catch (error) {
    const code = error instanceof HoldfastError ? error.code : ''
    if (code === 'EBUSY' && !force) {
      const { detail } = error as HoldfastError
      throw new HoldfastError('EBUSY', `${detail}; close it there first, or fsck --force`)
    }
    if (!['EBUSY', 'EACCES', 'EPERM', 'EROFS'].includes(code)) throw error
    return openRegion(path, { readOnly: true })
  }
}
