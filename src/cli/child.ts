/** A command that runs under something of ours: its signals, and how it ended. */
import { spawn, type ChildProcess } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { constants } from 'node:os'
import { HoldfastError } from '../base/errors.js'
import { unescapeBytes } from './arguments.js'
import { CommandError } from './failure.js'
import { whileTaking } from './interrupt.js'

/** As shells have it. */
const NOT_FOUND = 127
const NOT_RUN = 126
const BY_SIGNAL = 128

export class Child {
  readonly #process: ChildProcess
  readonly #over: Promise<number>

  constructor(command: readonly string[], environment: Readonly<Record<string, string>>) {
    const [file = '', ...args] = command.map(plain)
    const env = { ...process.env, ...environment }
    this.#process = spawn(file, args, { stdio: 'inherit', env })
    this.#over = ended(this.#process, file)
  }

  /** Waits for its end: its exit code, or 128 and the number of the signal that ended it. */
  wait(): Promise<number> {
    return whileTaking(
      (signal) => {
        // What a terminal sends goes to all that run in it: this one has it already.
        if (signal === 'SIGTERM' || !inForeground()) this.signal(signal)
      },
      () => this.#over,
    )
  }

  signal(signal: NodeJS.Signals): void {
    this.#process.kill(signal)
  }
}

function ended(process: ChildProcess, file: string): Promise<number> {
  return new Promise((resolve, reject) => {
    process.on('error', (error: NodeJS.ErrnoException) => {
      const missing = error.code === 'ENOENT'
      const why = missing ? 'there is no such command' : (error.code ?? error.message)
      reject(new ChildError(`${file}: ${why}`, missing ? NOT_FOUND : NOT_RUN))
    })
    process.on('exit', (code, signal) => {
      resolve(code ?? BY_SIGNAL + constants.signals[signal!])
    })
  })
}

/** The command could not be run. */
export class ChildError extends CommandError {
  readonly exitCode: number

  constructor(message: string, exitCode: number) {
    super(message)
    this.exitCode = exitCode
  }
}

/** Node passes strings on. */
function plain(argument: string): string {
  const bytes = unescapeBytes(argument)
  const text = bytes.toString('utf8')
  if (Buffer.from(text, 'utf8').equals(bytes)) return text
  throw new HoldfastError('EINVAL', 'arguments of a command that is run are UTF-8')
}

/** Whether a terminal sends its signals to this process and its children (proc(5), stat). */
function inForeground(): boolean {
  try {
    const stat = readFileSync('/proc/self/stat', 'latin1')
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    const [group, foreground] = [fields[2], fields[5]]
    return group === foreground
  } catch {
    return false
  }
}
