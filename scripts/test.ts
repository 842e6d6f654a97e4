/**
 * `npm test`: runs the suites one after another, each in `node --test` over its files, two files at
 * a time (with --each two suites at a time), and counts.
 *
 *     node build/scripts/test.js [--verbose] [--each] [SUITE…]
 *
 * - a suite is a directory of test/, or, as DIRECTORY/NAME, one of its files; with --each it is
 *   each of its files; one without a test is a failure;
 * - a skip is shown as SKIPPED with its reason, counted, and a failure where what it needs is
 *   there;
 * - all suites together have ten minutes (HOLDFAST_TEST_SECONDS): what runs longer is stopped and
 *   is a failure, so that nobody learns to live with slow tests;
 * - the last line alone is `N passed, N failed, N skipped`.
 *
 * What the tests print is in build/test-output/SUITE.log; of a suite that fails it is shown.
 */
import { spawn } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { basename, join } from 'node:path'
import { createInterface } from 'node:readline'
import { parseArgs } from 'node:util'
import type { Report } from './test_reporter.js'
import { unjustified } from './test_needs.js'

const BUDGET_SECONDS = Number(process.env['HOLDFAST_TEST_SECONDS'] ?? 600)
const REPORTER = './build/scripts/test_reporter.js'
const OUTPUT = join('build', 'test-output')

interface Suite {
  readonly name: string
  /** Command line, and how to read one line of what it prints. */
  readonly args: readonly string[]
  readonly read: (line: string) => Report | null
  readonly files: number
}

interface Failure {
  readonly file: string
  readonly name: string
  readonly text: string
}

class Outcome {
  passed = 0
  readonly failures: Failure[] = []
  readonly skips: Failure[] = []
  readonly diagnostics: string[] = []
  readonly output: string[] = []

  take(report: Report): void {
    const { kind, file, name, text } = report
    if (kind === 'pass') this.passed++
    else if (kind === 'fail' || kind === 'file') this.failures.push({ file, name, text })
    else if (kind === 'diagnostic') this.diagnostics.push(text)
    else if (kind === 'output') this.output.push(text)
    else {
      this.skips.push({ file, name, text })
      const why = unjustified(text)
      if (why !== null) this.failures.push({ file, name, text: `${why}: SKIPPED (${text})` })
    }
  }
}

/** Directories of test/, in the order in which they run: what fails fast comes first. */
const DIRECTORIES = [
  'unit',
  'native',
  'control',
  'layout',
  'suite',
  'model',
  'named',
  'golden',
  'rdma',
  'dissector',
]

/** That of form: `npm run lint`. */
const FORM = ['tidy']
/** Those of power cuts and killed processes, with the sanitizers: `npm run test:crash`. */
const CRASHING = ['crash', 'fire', 'kill']
/** That of the command line, each line a process: `npm run test:cli`. */
const COMMANDING = ['cli']
/** Those of damage: `npm run test:repair`. */
const DAMAGING = ['check', 'repair']
/** Those of servers and hosts, which take as long again: `npm run test:serve` names them. */
const SERVING = ['processes', 'serve', 'served', 'clients', 'network', 'demo']
/** Those of mounts, which want root: `npm run test:mount` names them. */
const MOUNTING = ['mount']
/** Programs that nobody here wrote: `npm run test:programs`. */
const OTHERS = ['programs']

/** Compiled tests whose source is still there: a test taken out leaves its compiled form behind. */
function testFiles(directory: string): string[] {
  const folder = join('build', 'test', directory)
  if (!existsSync(folder)) return []
  return readdirSync(folder)
    .filter((name) => name.endsWith('.test.js'))
    .filter((name) => existsSync(join('test', directory, name.replace(/\.js$/, '.ts'))))
    .sort()
    .map((name) => join(folder, name))
}

function readReport(line: string): Report | null {
  if (!line.startsWith('{"kind":')) return { kind: 'output', file: '', name: '', text: `${line}\n` }
  return JSON.parse(line) as Report
}

/** A line `what: ok`, `what: SKIPPED (why)` or `what: FAILED (why)` of scripts/test_native.mjs. */
function readStage(line: string): Report | null {
  const found = /^(.+): (ok|SKIPPED|FAILED)(?: \((.*)\))?$/.exec(line)
  if (found === null) return { kind: 'output', file: '', name: '', text: `${line}\n` }
  const kind = found[2] === 'ok' ? 'pass' : found[2] === 'SKIPPED' ? 'skip' : 'fail'
  return { kind, file: 'scripts/test_native.mjs', name: found[1]!, text: found[3] ?? '' }
}

function suiteOf(name: string, files: readonly string[]): Suite {
  const concurrency = Math.max(1, Math.min(2, availableParallelism()))
  const flags = [`--test-concurrency=${concurrency}`, `--test-reporter=${REPORTER}`]
  const args = ['--test', ...flags, '--test-reporter-destination=stdout', ...files]
  return { name, args, read: readReport, files: files.length }
}

/** The files of a directory, each a suite. */
function suitesOfFiles(directory: string): Suite[] {
  return testFiles(directory).map((file) =>
    suiteOf(`${directory}/${basename(file, '.test.js')}`, [file]),
  )
}

/** Of a directory each of its files; one file is itself. */
function namesOfEach(name: string): readonly string[] {
  const files = suitesOfFiles(name)
  return files.length > 0 ? files.map((one) => one.name) : [name]
}

function suites(wanted: readonly string[], each: boolean): Suite[] {
  const directories = [
    ...FORM,
    ...DIRECTORIES,
    ...COMMANDING,
    ...CRASHING,
    ...DAMAGING,
    ...SERVING,
    ...MOUNTING,
    ...OTHERS,
  ]
  const all: Suite[] = directories.map((name) => suiteOf(name, testFiles(name)))
  all.push({
    name: 'sanitizers',
    args: [join('scripts', 'test_native.mjs')],
    read: readStage,
    files: 1,
  })
  all.push(...directories.flatMap(suitesOfFiles))
  const unknown = wanted.filter((name) => !all.some((suite) => suite.name === name))
  if (unknown.length > 0) {
    process.stderr.write(
      `no suite ${unknown.join(', ')}; there are ${directories.join(', ')}, and DIRECTORY/FILE\n`,
    )
    process.exit(2)
  }
  const chosen = wanted.length > 0 ? wanted : DIRECTORIES
  const named = each ? chosen.flatMap(namesOfEach) : chosen
  return all.filter((suite) => named.includes(suite.name))
}

/** Runs a suite to its end, or to the deadline (milliseconds of performance.now). */
async function run(suite: Suite, deadline: number, verbose: boolean): Promise<Outcome> {
  const outcome = new Outcome()
  if (suite.files === 0) {
    outcome.failures.push({ file: join('test', suite.name), name: suite.name, text: 'no test' })
    return outcome
  }
  // A group of its own, so that the deadline also ends what the tests started.
  const child = spawn(process.execPath, suite.args, {
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
  })
  let late = false
  const timer = setTimeout(
    () => {
      late = true
      process.kill(-child.pid!, 'SIGKILL')
    },
    Math.max(1, deadline - performance.now()),
  )
  const interrupted = () => process.exit(130)
  const left = () => process.kill(-child.pid!, 'SIGKILL')
  process.once('SIGINT', interrupted)
  process.once('SIGTERM', interrupted)
  process.once('exit', left)
  const ended = new Promise<number | null>((resolve) => child.once('close', resolve))
  const lines = (stream: NodeJS.ReadableStream, read: (line: string) => Report | null) =>
    createInterface({ input: stream }).on('line', (line) => {
      const report = read(line)
      if (report === null) return
      outcome.take(report)
      if (verbose && (report.kind === 'output' || report.kind === 'diagnostic')) {
        process.stdout.write(report.text.endsWith('\n') ? report.text : `${report.text}\n`)
      }
    })
  lines(child.stdout, suite.read)
  lines(child.stderr, (line) => ({ kind: 'output', file: '', name: '', text: `${line}\n` }))
  const status = await ended
  clearTimeout(timer)
  process.off('SIGINT', interrupted)
  process.off('SIGTERM', interrupted)
  process.off('exit', left)
  const fail = (text: string) => outcome.failures.push({ file: suite.name, name: suite.name, text })
  if (late) fail(`stopped: all suites together have ${BUDGET_SECONDS} seconds`)
  else if (status !== 0 && outcome.failures.length === 0) fail(`ended with status ${status}`)
  if (outcome.passed + outcome.failures.length + outcome.skips.length === 0) fail('no test ran')
  return outcome
}

function print(suite: Suite, outcome: Outcome, seconds: number): void {
  const { passed, failures, skips } = outcome
  const counts = `${passed} passed, ${failures.length} failed, ${skips.length} skipped`
  process.stdout.write(`${suite.name.padEnd(20)}${seconds.toFixed(1).padStart(7)} s   ${counts}\n`)
  for (const text of outcome.diagnostics) process.stdout.write(`    ${text}\n`)
  for (const { name, text } of skips) process.stdout.write(`    SKIPPED ${name} (${text})\n`)
  for (const { file, name, text } of failures) {
    process.stdout.write(`  FAILED ${name === file ? name : `${file}: ${name}`}\n`)
    for (const line of text.split('\n')) process.stdout.write(`    ${line}\n`)
  }
  mkdirSync(OUTPUT, { recursive: true })
  const log = [...outcome.diagnostics.map((line) => `${line}\n`), ...outcome.output].join('')
  writeFileSync(join(OUTPUT, `${suite.name.replace('/', '_')}.log`), log)
  if (failures.length === 0 || log === '') return
  const shown = log.length > 20_000 ? `…${log.slice(-20_000)}` : log
  process.stdout.write(`  output of ${suite.name}:\n`)
  for (const line of shown.split('\n')) process.stdout.write(`    ${line}\n`)
}

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    options: {
      verbose: { type: 'boolean', default: false },
      each: { type: 'boolean', default: false },
    },
    allowPositionals: true,
  })
  const wanted = positionals.map((name) => name.replace(/^test\/|\/$/g, ''))
  const chosen = suites(wanted, values.each)
  const begin = performance.now()
  const deadline = begin + BUDGET_SECONDS * 1000
  let passed = 0
  let failed = 0
  let skipped = 0
  const waiting = [...chosen]
  const lane = async () => {
    for (let suite; (suite = waiting.shift()) !== undefined;) {
      const start = performance.now()
      const outcome = await run(suite, deadline, values.verbose)
      print(suite, outcome, (performance.now() - start) / 1000)
      passed += outcome.passed
      failed += outcome.failures.length
      skipped += outcome.skips.length
    }
  }
  // A file by itself is one process, which mostly waits for those that it starts.
  const lanes = values.each ? Math.min(2, availableParallelism()) : 1
  await Promise.all(Array.from({ length: lanes }, lane))
  const seconds = (performance.now() - begin) / 1000
  process.stdout.write(`${'all'.padEnd(20)}${seconds.toFixed(1).padStart(7)} s\n`)
  process.stdout.write(`${passed} passed, ${failed} failed, ${skipped} skipped\n`)
  process.exitCode = failed === 0 ? 0 : 1
}

await main()
