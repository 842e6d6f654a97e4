/** holdfast demo: the layout contract, tried with real processes. */
import { InvalidArgumentError, type Command } from 'commander'
import { play, STEPS } from '../demo/play.js'
import { JsonShow, PersonShow } from '../demo/show.js'
import type { Step } from '../demo/step.js'
import { examples, JSON_OPTION, type JsonOption } from '../options.js'

interface Options extends JsonOption {
  readonly step?: readonly Step[]
  readonly slow?: boolean
}

const SLOW_MS = 4000
const EXIT_FAILED = 1

export function demoCommand(program: Command): Command {
  return program
    .command('demo')
    .summary('show what this is for, with a server and three clients')
    .description(
      'Makes a volume in memory and starts a server of it, two clients on this machine and a remote ' +
        'one, each in a process of its own; then maps, reads by RDMA, truncates, clones, recalls ' +
        'and kills. Each step says what Linux does and what happens here; a check mark stands ' +
        'where bytes and answers were compared. It takes seconds, leaves nothing behind, and ' +
        `fails when something is not as it should be. Steps: ${STEPS.map(({ name }) => name).join(', ')}.`,
    )
    .option('--step <name>', 'this step alone; it can be given again', addStep)
    .option('--slow', 'a pause after each step, for reading along')
    .option(...JSON_OPTION)
    .addHelpText(...examples('holdfast demo', 'holdfast demo --step defer --step kill'))
    .action(demo)
}

function addStep(name: string, before: readonly Step[] = []): readonly Step[] {
  const step = STEPS.find((one) => one.name === name)
  if (step !== undefined) return [...before, step]
  throw new InvalidArgumentError(`the steps are ${STEPS.map((one) => one.name).join(', ')}`)
}

async function demo(options: Options): Promise<void> {
  const show = options.json === true ? new JsonShow() : new PersonShow()
  const { step: chosen = STEPS } = options
  const steps = STEPS.filter((one) => chosen.includes(one))
  const ok = await play({ steps, show, pause: options.slow === true ? SLOW_MS : 0 })
  if (!ok) process.exitCode = EXIT_FAILED
}
