/**
 * What a manual page of Linux says of errnos, as lines:
 *
 *     ERRNO  when it is so                      a case has it
 *     ERRNO  when it is so | EXPRESSION         a case has it, in a step that looks like that
 *     ERRNO  when it is so ! REASON             no case can have it
 *
 * Pages are those of Linux man-pages 6.03, and what kernels since then have added.
 */
import { REASONS, type Reason } from './reasons.js'

/** One line of a page. */
export interface Documented {
  readonly page: string
  readonly errno: string
  readonly when: string
  /** What the step of a case looks like. */
  readonly step: RegExp | null
  /** Why there is none. */
  readonly reason: Reason | null
}

export interface Page {
  readonly name: string
  /** Names of steps, and of system calls in them. */
  readonly calls: ReadonlySet<string>
  readonly errors: readonly Documented[]
}

const LINE = /^(E[A-Z0-9]+)\s+([^|!]+?)\s*(?:\| (.+)|! (\w+))?$/

function lineOf(page: string, line: string): Documented {
  const [, errno, when, step, because] = LINE.exec(line) ?? []
  if (errno === undefined || when === undefined) throw new Error(`${page}: '${line}'`)
  const reason = because === undefined ? null : (REASONS[because] ?? null)
  if (because !== undefined && reason === null) throw new Error(`${page}: no reason '${because}'`)
  return { page, errno, when, step: step === undefined ? null : new RegExp(step), reason }
}

export function page(name: string, calls: string, text: string): Page {
  const lines = text.split('\n').map((line) => line.trim())
  const errors = lines.filter(Boolean).map((line) => lineOf(name, line))
  return { name, calls: new Set(calls.split(' ')), errors }
}
