/** holdfast info: what a volume is. */
import type { Command } from 'commander'
import { describeProcess } from '../../region/owner.js'
import { inspectVolume, type VolumeSummary } from '../../layout/embedded.js'
import { formatSize, parseRegion } from '../arguments.js'
import { examples, JSON_OPTION } from '../options.js'
import { print, printJson, table } from '../output.js'

export function infoCommand(program: Command): Command {
  return program
    .command('info')
    .summary('show what a volume is, and how full')
    .description(
      'Shows what the volume in REGION is, how full, and who has it open. It is not opened for this.',
    )
    .argument('<region>', 'path of the region', parseRegion)
    .option(...JSON_OPTION)
    .addHelpText(...examples('holdfast info /dev/shm/v.hf', 'holdfast info --json ./disk.hf'))
    .action(showInfo)
}

async function showInfo(path: string, options: { readonly json?: boolean }): Promise<void> {
  const summary = inspectVolume(path)
  if (options.json === true) return printJson(asJson(path, summary))
  const { space, blockSize, regionKind, persistence } = summary
  const rows = [
    ['region', path],
    ['kind', `${regionKind}, made durable by ${HOW[persistence] ?? persistence}`],
    ['label', summary.label === '' ? '-' : summary.label],
    ['uuid', summary.uuid],
    ['size', `${formatSize(summary.blocks * blockSize)} in ${summary.blocks} blocks`],
  ]
  if (space !== null) {
    const free = `${formatSize(space.blocksFree * blockSize)} in ${space.blocksFree} blocks`
    rows.push(['free', `${free}${asOf(summary)}`], ['inodes', `${space.inodes} in use`])
  }
  rows.push(
    ['log', formatSize(summary.logBytes)],
    ['sync', summary.sync],
    ['layout', layoutText(summary)],
    ['made', new Date(summary.createdMs).toISOString()],
    ['mounts', String(summary.epoch)],
    ['owner', ownerText(summary)],
  )
  await print(table(rows, []))
}

const HOW: Readonly<Record<string, string>> = {
  flush: 'writing cache lines back',
  fence: 'a fence (until the machine restarts)',
  sync: 'fdatasync',
}

function layoutText({ static: isStatic, policy, unlink }: VolumeSummary): string {
  const rules = `policy ${policy}, unlink ${unlink}`
  return isStatic ? `static, ${rules}` : rules
}

/** What came after the last checkpoint is in the log only. */
function asOf({ owner }: VolumeSummary): string {
  return owner === null ? '' : ', at the last checkpoint'
}

function ownerText({ owner }: VolumeSummary): string {
  if (owner === null) return 'none'
  const who = describeProcess(owner)
  return owner.alive ? who : `${who}, which did not close it`
}

function asJson(path: string, summary: VolumeSummary): unknown {
  const { owner, createdMs, ...rest } = summary
  return {
    region: path,
    ...rest,
    created: new Date(createdMs).toISOString(),
    owner: owner === null ? null : { ...owner, bootId: Buffer.from(owner.bootId).toString('hex') },
  }
}
