/** holdfast doctor: what a region can do, and what is wrong with it. */
import type { Command } from 'commander'
import { parseRegion } from '../arguments.js'
import { examine, type Verdict } from '../doctor.js'
import { examples, JSON_OPTION, type JsonOption } from '../options.js'
import { print, printJson } from '../output.js'

export function doctorCommand(program: Command): Command {
  return program
    .command('doctor')
    .summary('show what a region can do, and how to mend what it cannot')
    .description(
      'Looks at REGION and at this machine, measures what can be measured, and shows for each ' +
        'shortcoming a command that mends it. Nothing is changed, and it works while the volume is ' +
        'open elsewhere. ok: as it should be; note: belongs to this kind of region; WARN: mend it; ' +
        'FAIL: it cannot be used like this, and the exit code is 1.',
    )
    .argument('<region>', 'path of the region', parseRegion)
    .option(...JSON_OPTION)
    .addHelpText(...examples('holdfast doctor /dev/shm/v.hf', 'holdfast doctor --json /dev/dax0.0'))
    .action(show)
}

const MARKS: Readonly<Record<Verdict, string>> = {
  good: 'ok  ',
  note: 'note',
  warning: 'WARN',
  failure: 'FAIL',
}

async function show(path: string, options: JsonOption): Promise<void> {
  const findings = examine(path)
  if (findings.some(({ verdict }) => verdict === 'failure')) process.exitCode = 1
  if (options.json === true) return printJson({ region: path, checks: findings })
  const width = Math.max(...findings.map(({ check }) => check.length))
  const lines = findings.flatMap(({ check, verdict, found, fix }) => [
    `${MARKS[verdict]}  ${check.padEnd(width)}  ${found}`,
    ...(fix === null ? [] : [`${' '.repeat(width + 8)}-> ${fix}`]),
  ])
  await print(`${lines.join('\n')}\n`)
}
