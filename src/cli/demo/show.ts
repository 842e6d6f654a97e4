/** How a demo is shown: to a person in 80 columns, or as JSON. */
import { print, printJsonLine } from '../output.js'
import type { Step, Told } from './step.js'

const COLUMNS = 80
const INDENT = 9

/** A step, once it has run. */
export interface Outcome {
  readonly step: string
  readonly title: string
  readonly linux: string
  readonly did: readonly string[]
  readonly verified: readonly string[]
  readonly ok: boolean
  /** What differed. */
  readonly error?: string
  readonly milliseconds: number
}

/** What a step tells, shown as it comes. */
export interface Show {
  opening(text: string): Promise<void>
  begin(step: Step): Promise<Told>
  end(outcome: Outcome): Promise<void>
  closing(text: string): Promise<void>
}

/** Breaks a sentence into lines; the first after `head`, all of them behind as many columns. */
export function wrapped(head: string, text: string, columns = COLUMNS): string {
  const lines: string[] = []
  let line = ''
  for (const word of text.split(/\s+/)) {
    if (line !== '' && INDENT + line.length + 1 + word.length > columns) {
      lines.push(line)
      line = word
    } else line = line === '' ? word : `${line} ${word}`
  }
  lines.push(line)
  const pad = ' '.repeat(INDENT)
  return lines.map((one, i) => `${i === 0 ? head.padEnd(INDENT) : pad}${one}\n`).join('')
}

const BOLD = '\x1b[1m'
const GREEN = '\x1b[32m'
const RED = '\x1b[31m'
const DIM = '\x1b[2m'
const PLAIN = '\x1b[0m'

export class PersonShow implements Show {
  readonly #colours = process.stdout.isTTY && (process.env['NO_COLOR'] ?? '') === ''
  #count = 0

  #in(colour: string, text: string): string {
    return this.#colours ? `${colour}${text}${PLAIN}` : text
  }

  async opening(text: string): Promise<void> {
    await print(`${text}\n`)
  }

  async begin({ name, title, linux }: Step): Promise<Told> {
    const head = `${String(++this.#count).padStart(2)}. ${name}`
    await print(`\n${this.#in(BOLD, `${head}: ${title}`)}\n`)
    await print(this.#in(DIM, wrapped('  Linux', linux)))
    const show = (text: string) => void process.stdout.write(text)
    return {
      did: (text) => show(wrapped('  here', text)),
      verified: (text) => show(this.#in(GREEN, wrapped('  ✓', text))),
    }
  }

  async end({ ok, error }: Outcome): Promise<void> {
    if (!ok) await print(this.#in(RED, wrapped('  ✗', error ?? '')))
  }

  async closing(text: string): Promise<void> {
    await print(`\n${text}\n`)
  }
}

/** One object a step, a line each. */
export class JsonShow implements Show {
  opening(): Promise<void> {
    return Promise.resolve()
  }

  begin(): Promise<Told> {
    return Promise.resolve({ did: () => {}, verified: () => {} })
  }

  async end(outcome: Outcome): Promise<void> {
    await printJsonLine(outcome)
  }

  closing(): Promise<void> {
    return Promise.resolve()
  }
}
