/** holdfast info: what a volume is. */
import type { Command } from 'commander'
import { describeProcess } from '../../region/owner.js'
import type { VolumeSummary } from '../../layout/embedded.js'
import { formatSize, parseVolume } from '../arguments.js'
import { examples, JSON_OPTION } from '../options.js'
import { print, printJson, table } from '../output.js'
import { lookAt, type Known } from '../summary.js'

export function infoCommand(program: Command): Command {
  return program
    .command('info')
    .summary('show what a volume is, and how full')
    .description(
      'Shows what the volume in REGION is, how full, and who has it open. It is not opened for this; ' +
        'where it is served, the server is asked, and sessions and holds are counted.',
    )
    .argument('<region>', 'path of the region, or hf://HOST:PORT', parseVolume)
    .option(...JSON_OPTION)
    .addHelpText(...examples('holdfast info /dev/shm/v.hf', 'holdfast info --json hf://10.0.0.7'))
    .action(showInfo)
}

async function showInfo(path: string, options: { readonly json?: boolean }): Promise<void> {
  const known = await lookAt(path)
  const { summary, served } = known
  if (options.json === true) return printJson(asJson(path, known))
  const { owner, blockSize, regionKind, persistence } = summary
  const rows = [
    ['region', path],
    ['kind', `${regionKind}, made durable by ${HOW[persistence] ?? persistence}`],
    ['label', summary.label === '' ? '-' : summary.label],
    ['uuid', summary.uuid],
    ['size', `${formatSize(summary.blocks * blockSize)} in ${summary.blocks} blocks`],
  ]
  const now = spaceOf(known)
  if (now !== null) {
    const free = `${formatSize(now.blocksFree * blockSize)} in ${now.blocksFree} blocks`
    const asOf = served === null && owner !== null ? ', at the last checkpoint' : ''
    rows.push(['free', `${free}${asOf}`], ['inodes', `${now.inodes} in use`])
  }
  rows.push(
    ['log', formatSize(summary.logBytes)],
    ['sync', summary.sync],
    ['layout', layoutText(summary)],
    ['made', new Date(summary.createdMs).toISOString()],
    ['mounts', String(summary.epoch)],
    ['owner', ownerText(summary)],
  )
  if (served !== null) {
    rows.push(['sessions', String(served.sessions)], ['holds', String(served.holds)])
  }
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

/** What came after the last checkpoint is in the log only: then its server knows. */
function spaceOf({ summary, served }: Known): VolumeSummary['space'] {
  if (served === null) return summary.space
  return { blocksFree: served.full.blocksFree, inodes: served.full.files }
}

function ownerText({ owner }: VolumeSummary): string {
  if (owner === null) return 'none'
  const who = describeProcess(owner)
  return owner.alive ? who : `${who}, which did not close it`
}

function asJson(path: string, known: Known): unknown {
  const { owner, createdMs, ...rest } = known.summary
  const { served } = known
  return {
    region: path,
    ...rest,
    space: spaceOf(known),
    created: new Date(createdMs).toISOString(),
    owner: owner === null ? null : { ...owner, bootId: Buffer.from(owner.bootId).toString('hex') },
    served: served === null ? null : { sessions: served.sessions, holds: served.holds },
  }
}
