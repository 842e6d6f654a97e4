/**
 * What `node --test` tells the runner: one JSON line an event, only those that the runner counts or
 * shows. See scripts/test.ts.
 */
import { relative, resolve } from 'node:path'
import { inspect } from 'node:util'
import type { TestEvent } from 'node:test/reporters'

export interface Report {
  /** `file`: a file as a whole, when it has no test in it or ended before its tests did. */
  readonly kind: 'pass' | 'fail' | 'skip' | 'diagnostic' | 'output' | 'file'
  readonly file: string
  readonly name: string
  /** The error, the reason of a skip, or the text. */
  readonly text: string
}

/** What node:test says of a result; its types leave out what it hands on from a child process. */
interface ResultData {
  readonly name: string
  readonly file?: string
  readonly skip?: string | boolean
  readonly todo?: string | boolean
  readonly details?: { readonly type?: string; readonly error?: unknown }
}

/** node:test ends with its own totals as diagnostics; the runner has totals of its own. */
const TOTALS = /^(tests|suites|pass|fail|cancelled|skipped|todo|duration_ms) [\d.]+$/

function fileOf(data: { readonly file?: string | undefined }): string {
  return data.file === undefined ? '' : relative(process.cwd(), data.file)
}

/** The message, and where in our own files it comes from. */
function errorText(error: unknown): string {
  const cause = (error as { readonly cause?: unknown } | undefined)?.cause ?? error
  const { message, stack } = cause as { readonly message?: unknown; readonly stack?: unknown }
  if (typeof message !== 'string') return inspect(cause, { depth: 4, colors: false })
  const frames = typeof stack === 'string' ? stack.split('\n') : []
  const ours = frames.filter((line) => /^\s+at .*file:\/\//.test(line)).slice(0, 8)
  return [message.slice(0, 8000), ...ours].join('\n')
}

function resultOf(passed: boolean, data: ResultData): Report | null {
  const file = fileOf(data)
  const { name } = data
  const error = data.details?.error as { readonly failureType?: string } | undefined
  // A parent fails because of its children, which were counted.
  if (error?.failureType === 'subtestsFailed') return null
  if (data.file !== undefined && resolve(name) === resolve(data.file)) {
    const text = passed ? 'no test in this file' : errorText(error)
    return { kind: 'file', file, name, text }
  }
  if (data.details?.type === 'suite' && passed) return null
  if (data.skip !== undefined && data.skip !== false) {
    const text = typeof data.skip === 'string' ? data.skip : ''
    return { kind: 'skip', file, name, text }
  }
  if (data.todo !== undefined && data.todo !== false) {
    return { kind: 'fail', file, name, text: 'marked as work to do: finish it or take it out' }
  }
  return { kind: passed ? 'pass' : 'fail', file, name, text: passed ? '' : errorText(error) }
}

function reportOf(event: TestEvent): Report | null {
  switch (event.type) {
    case 'test:pass':
    case 'test:fail':
      return resultOf(event.type === 'test:pass', event.data as unknown as ResultData)
    case 'test:diagnostic': {
      const text = event.data.message
      if (TOTALS.test(text)) return null
      return { kind: 'diagnostic', file: fileOf(event.data), name: '', text }
    }
    case 'test:stdout':
    case 'test:stderr':
      return { kind: 'output', file: fileOf(event.data), name: '', text: event.data.message }
    default:
      return null
  }
}

export default async function* reporter(events: AsyncIterable<TestEvent>): AsyncGenerator<string> {
  for await (const event of events) {
    const report = reportOf(event)
    if (report !== null) yield `${JSON.stringify(report)}\n`
  }
}
