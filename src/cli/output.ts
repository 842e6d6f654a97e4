/** What a command prints: bytes to stdout, and a line of progress when somebody watches. */
import { breathe, breatheDeep } from './interrupt.js'
import { formatSize } from './arguments.js'

/** Writes to stdout and waits until it is taken. */
export async function print(text: string | Uint8Array): Promise<void> {
  await new Promise<void>((done) => process.stdout.write(text, () => done()))
  await breathe()
}

export async function printJson(value: unknown): Promise<void> {
  await print(`${JSON.stringify(value, null, 2)}\n`)
}

/** One of many that come while the command runs: a line each. */
export async function printJsonLine(value: unknown): Promise<void> {
  await print(`${JSON.stringify(value)}\n`)
}

/** Everything that was printed is on its way. */
export async function flushOutput(): Promise<void> {
  await breatheDeep()
}

const FIRST_MS = 300
const EVERY_MS = 100

/** One line on a terminal that is written over and over; nothing elsewhere. */
export class ProgressLine {
  readonly #shown = process.stderr.isTTY
  readonly #started = performance.now()
  #last = performance.now() + FIRST_MS - EVERY_MS
  #dirty = false

  /** Shows what `line` makes, when it is time. */
  show(line: (seconds: number) => string): void {
    if (!this.#shown) return
    const now = performance.now()
    if (now - this.#last < EVERY_MS) return
    this.#last = now
    this.#dirty = true
    const width = Math.max(20, (process.stderr.columns ?? 80) - 1)
    process.stderr.write(`\r\x1b[K${line((now - this.#started) / 1000).slice(0, width)}`)
  }

  /** Takes the line away. */
  clear(): void {
    if (this.#dirty) process.stderr.write('\r\x1b[K')
    this.#dirty = false
  }
}

/** '12% of 1.0 GiB, 512.0 MiB/s'. */
export function formatProgress(done: number, total: number, seconds: number): string {
  const speed = `${formatSize(Math.round(done / Math.max(seconds, 0.001)))}/s`
  const part =
    total > 0 ? `${Math.floor((done / total) * 100)}% of ${formatSize(total)}` : formatSize(done)
  return `${part}, ${speed}`
}

/** Columns side by side: numbers to the right. */
export function table(rows: readonly (readonly string[])[], right: readonly number[]): string {
  const widths: number[] = []
  for (const row of rows)
    row.forEach((cell, i) => (widths[i] = Math.max(widths[i] ?? 0, cell.length)))
  const lines = rows.map((row) =>
    row
      .map((cell, i) => (right.includes(i) ? cell.padStart(widths[i]!) : cell.padEnd(widths[i]!)))
      .join('  ')
      .trimEnd(),
  )
  return lines.map((line) => `${line}\n`).join('')
}
