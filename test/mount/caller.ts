/**
 * Programs in a mount, each a process of its own that makes the calls it is told: their errnos are
 * known, and a call may wait while others are made.
 */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { constants } from 'node:os'
import { join } from 'node:path'
import { O } from '../../src/base/open_flags.js'
import { compile } from '../processes/compile.js'
import { stateOf, until, type Program, type Programs } from '../processes/program.js'

const NAMES = new Map(Object.entries(constants.errno).map(([name, number]) => [number, name]))
// Two names for one number: those that a volume has.
NAMES.set(constants.errno.EAGAIN, 'EAGAIN').set(constants.errno.EOPNOTSUPP, 'EOPNOTSUPP')

/** What a line is read with (unistd.h): who is in it waits to be told. */
const READS_STDIN = /^(?:0|63) 0x0 /
const SECONDS = 3600
/** That somebody may take to be told. */
const COMES_MS = 60_000

let program: string | null = null

type Word = string | number

export class Caller {
  readonly program: Program

  private constructor(started: Program) {
    this.program = started
  }

  /** `before`: a command that runs it, by exec. */
  static start(programs: Pick<Programs, 'start'>, before: readonly string[] = []): Caller {
    program ??= join(process.cwd(), compile('test/mount/caller.c'))
    return new Caller(programs.start('caller', [...before, program], { seconds: SECONDS }))
  }

  get pid(): number {
    return this.program.pid
  }

  /** What a call answers: a value, or the name of an errno. */
  async call(...words: readonly Word[]): Promise<string> {
    this.program.write(words.join(' '))
    const line = await this.program.line()
    if (line.startsWith('=')) return line.slice(1)
    assert.match(line, /^!\d+$/)
    return NAMES.get(Number(line.slice(1))) ?? `errno ${line.slice(1)}`
  }

  /** The value of a call that works. */
  async done(...words: readonly Word[]): Promise<string> {
    const answer = await this.call(...words)
    assert.doesNotMatch(answer, /^(E[A-Z0-9]+|errno \d+)$/, words.join(' '))
    return answer
  }

  /** Opens a file in the slot of that number. */
  async open(slot: number, path: string, flags = O.RDWR | O.CREAT): Promise<void> {
    await this.done('open', slot, path, flags, 0o644)
  }

  /** Resolves when the call that was made last waits in the kernel. */
  waits(): Promise<void> {
    return until(() => {
      if (!/^[SD]$/.test(stateOf(this.pid))) return false
      const call = readFileSync(`/proc/${this.pid}/syscall`, 'latin1')
      return /^\d/.test(call) && !READS_STDIN.test(call)
    }, `${this.program.name} waits in a call`)
  }

  /** It ends, and what it had open is closed. */
  async end(): Promise<void> {
    const { status } = await this.program.finish()
    assert.equal(status, 0)
  }
}

/** Asks again and again until the answer is the one that is waited for. */
export async function comes<T>(ask: () => Promise<T>, wanted: T): Promise<void> {
  let last: T | undefined
  const came = async () => (last = await ask()) === wanted
  for (const end = performance.now() + COMES_MS; !(await came());) {
    if (performance.now() > end) assert.equal(last, wanted, `after ${COMES_MS} ms`)
  }
}
