/** A program that runs somewhere, and the lines that it prints: of this machine, or the guest. */
import { spawn, type ChildProcess } from 'node:child_process'
import type { Socket } from 'node:net'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

const MAIN = fileURLToPath(new URL('../../src/cli/main.js', import.meta.url))
const WAIT_MS = 120_000
const LAST_LINES = 30

export abstract class Program {
  readonly lines: string[] = []
  /** The status, or -1 when nobody says it. */
  readonly ended: Promise<number>
  readonly #watchers = new Set<() => void>()
  #status: number | null = null
  #end!: (status: number) => void

  constructor() {
    this.ended = new Promise((resolve) => (this.#end = resolve))
  }

  protected add(line: string): void {
    this.lines.push(line)
    this.changed()
  }

  protected over(status: number): void {
    if (this.#status !== null) return
    this.#status = status
    this.#end(status)
    this.changed()
  }

  protected changed(): void {
    for (const watcher of [...this.#watchers]) watcher()
  }

  /** Waits until the test finds something; throws when the program ends before, or with time. */
  async until<T>(find: (lines: readonly string[]) => T | undefined, ms = WAIT_MS): Promise<T> {
    let forget = () => {}
    try {
      return await new Promise<T>((resolve, reject) => {
        const give = (why: string) => {
          reject(new Error(`${why}:\n${this.lines.slice(-LAST_LINES).join('\n')}`))
        }
        const look = () => {
          const found = find(this.lines)
          if (found !== undefined) resolve(found)
          else if (this.#status !== null) give(`ended with ${this.#status}`)
        }
        const timer = setTimeout(() => give(`nothing after ${ms} ms`), ms)
        forget = () => {
          clearTimeout(timer)
          this.#watchers.delete(look)
        }
        this.#watchers.add(look)
        look()
      })
    } finally {
      forget()
    }
  }

  /** Waits for a line that is one of those that are looked for, and takes it away. */
  async take<T>(find: (line: string) => T | undefined, ms = WAIT_MS): Promise<T> {
    return await this.until(() => {
      for (const [index, line] of this.lines.entries()) {
        const found = find(line)
        if (found === undefined) continue
        this.lines.splice(index, 1)
        return found
      }
      return undefined
    }, ms)
  }
}

/** Of the guest: run by a shell at the other end of a connection. */
export class GuestProgram extends Program {
  readonly #socket: Socket
  #pid = 0

  constructor(socket: Socket, command: string, seconds: number) {
    super()
    this.#socket = socket
    // That the connection broke is told by its end.
    socket.on('error', () => {})
    createInterface({ input: socket })
      .on('error', () => {})
      .on('line', (line) => this.#take(line))
    // A job in the background has no input, unless it is told.
    const job = `exec 3<&0; busybox timeout -s KILL ${seconds} ${command} <&3 2>&1 & p=$!`
    socket.write(`${job}; echo "@pid $p"; wait $p; echo "@status $?"; exit\n`)
    socket.on('close', () => this.over(-1))
  }

  #take(line: string): void {
    const [, word, value] = /^@(pid|status) (\d+)$/.exec(line) ?? []
    if (word === undefined) return this.add(line)
    if (word === 'pid') this.#pid = Number(value)
    else this.over(Number(value))
    if (word === 'status') this.#socket.destroy()
    this.changed()
  }

  /** 0: it does not run yet. */
  get pid(): number {
    return this.#pid
  }

  write(line: string): void {
    this.#socket.write(`${line}\n`)
  }

  /** Ends its input. */
  end(): void {
    this.#socket.end()
  }
}

/** Of this machine: node with a script. */
export class HostProgram extends Program {
  readonly #child: ChildProcess
  readonly #kill = () => this.kill()

  constructor(script: string, args: readonly string[]) {
    super()
    const child = spawn(process.execPath, [script, ...args], { stdio: ['ignore', 'pipe', 'pipe'] })
    this.#child = child
    process.on('exit', this.#kill)
    for (const input of [child.stdout, child.stderr]) {
      createInterface({ input }).on('line', (line) => this.add(line))
    }
    child.on('close', (status) => {
      process.off('exit', this.#kill)
      this.over(status ?? -1)
    })
  }

  kill(signal: NodeJS.Signals = 'SIGKILL'): void {
    this.#child.kill(signal)
  }
}

/** The command line of Holdfast. */
export const holdfast = (...args: readonly string[]) => new HostProgram(MAIN, args)
