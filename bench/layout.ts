/**
 * npm run bench -- layout [--rounds 15] [--only holds|changes|memory] [--json]: holds, changes.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { changeQuestions } from './layout_changes.js'
import { holdQuestions } from './layout_holds.js'
import { printMemory } from './layout_memory.js'
import { ask, type Answer, type Question } from './layout_rounds.js'
import { duration, durations, factors, table } from './table.js'

export async function layout(args: string[]): Promise<void> {
  const { values } = parseArgs({
    args,
    options: {
      rounds: { type: 'string', default: '15' },
      only: { type: 'string' },
      json: { type: 'boolean', default: false },
    },
  })
  const rounds = Math.max(7, Number(values.rounds))
  const directory = mkdtempSync('/dev/shm/holdfast-layout-')
  const answers: Answer[] = []
  const skipped: string[] = []
  const wanted = (part: string) => values.only === undefined || values.only === part
  try {
    if (wanted('holds')) {
      const { questions, end } = holdQuestions(directory)
      await askAll(questions, rounds, answers)
      end()
    }
    if (wanted('changes')) {
      const { questions, skipped: left, end } = await changeQuestions(directory)
      await askAll(questions, rounds, answers)
      skipped.push(...left)
      await end()
    }
  } finally {
    rmSync(directory, { recursive: true })
  }
  if (values.json) console.log(JSON.stringify(answers, null, 2))
  else if (answers.length > 0) print(answers, rounds)
  if (!values.json && wanted('memory')) printMemory()
  for (const what of skipped) console.error(`SKIPPED: ${what}`)
}

async function askAll(
  questions: readonly Question[],
  rounds: number,
  answers: Answer[],
): Promise<void> {
  for (const question of questions) {
    answers.push(await ask(question, rounds))
    process.stderr.write('.')
  }
  process.stderr.write('\n')
}

const met = (good: boolean) => (good ? 'met' : 'missed')

function print(answers: readonly Answer[], rounds: number): void {
  const rows: string[][] = []
  for (const { question, ours, most, others } of answers) {
    const limit = most === undefined ? '' : `<= ${duration(most)}: ${met(ours.median <= most)}`
    if (others.length === 0) rows.push([question, durations(ours), '', '', '', limit])
    for (const [i, { name, time, ratio, most: factor }] of others.entries()) {
      const wish = factor === undefined ? '' : `<= ${factor} x: ${met(ratio.median <= factor)}`
      rows.push([
        i === 0 ? question : '',
        i === 0 ? durations(ours) : '',
        name,
        durations(time),
        factors(ratio),
        [i === 0 ? limit : '', wish].filter((text) => text !== '').join(', '),
      ])
    }
  }
  console.log(`median of ${rounds} interleaved rounds (least to most)\n`)
  console.log(table(['what', 'holdfast', 'beside', 'takes', 'ours / that', 'wanted'], rows))
  const counts = answers.flatMap(({ question, counts: c }) =>
    c === undefined
      ? []
      : [
          [
            question,
            ...[c.bytesLogged, c.bytesStored, c.linesFlushed, c.fences].map((n) => n.toFixed(2)),
          ],
        ],
  )
  const head = ['what', 'bytes logged', 'bytes stored', 'lines flushed', 'fences']
  console.log(`\n${table(head, counts)}`)
}
