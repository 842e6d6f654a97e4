/**
 * A process in C that maps parts of a file whose descriptor it inherits, and that can fork
 * (keeper.c): what node cannot.
 */
import assert from 'node:assert/strict'
import { compile } from './compile.js'
import type { Program } from './program.js'
import { type Programs, type StartOptions } from './program.js'

const SOURCE = 'test/processes/keeper.c'
let built: string | null = null

export class Keeper {
  readonly program: Program
  readonly #programs: Programs
  /** The process that has the mappings now. */
  pid: number

  private constructor(programs: Programs, program: Program) {
    this.#programs = programs
    this.program = program
    this.pid = program.pid
  }

  /** Starts one with this descriptor. It is closed here by who opened it. */
  static async start(
    programs: Programs,
    descriptor: number,
    options: Omit<StartOptions, 'inherit' | 'ownInput'> = {},
  ): Promise<Keeper> {
    built ??= compile(SOURCE)
    const kept = { inherit: [descriptor], ownInput: true }
    const program = programs.start('keeper', [built], { ...options, ...kept })
    assert.equal(await program.line(), 'ready')
    return new Keeper(programs, program)
  }

  /** Maps a part of the file behind what it has; all that is mapped then. */
  async map(offset: number, length: number): Promise<number> {
    return Number(await this.#ask(`map ${offset} ${length}`, 'mapped'))
  }

  async read(at: number, length: number): Promise<Uint8Array> {
    return Buffer.from(await this.#ask(`read ${at} ${length}`, 'bytes'), 'hex')
  }

  async write(at: number, bytes: Uint8Array): Promise<void> {
    await this.#ask(`write ${at} ${Buffer.from(bytes).toString('hex')}`, 'written')
  }

  /** A read lock of its open file description on one byte. */
  async lock(start: number): Promise<void> {
    await this.#ask(`lock ${start}`, 'locked')
  }

  /** Whether somebody else's open file description has a lock there. */
  async held(start: number): Promise<boolean> {
    this.program.write(`probe ${start}`)
    const answer = await this.program.line()
    assert.match(answer, /^(held|free)$/)
    return answer === 'held'
  }

  async closeDescriptor(): Promise<void> {
    await this.#ask('close', 'closed')
  }

  /** It dies, and a child of it goes on with the mappings. */
  async fork(): Promise<void> {
    const ended = this.program.ended()
    this.pid = Number(await this.#ask('fork', 'forked'))
    this.#programs.adopt(this.pid)
    assert.deepEqual(await ended, { status: 0, signal: null })
  }

  /** Ends it, whoever it is by now, and waits until it has let go of its streams. */
  async exit(): Promise<void> {
    this.program.write('exit')
    this.program.expectEnd()
    await this.program.closed
  }

  async kill(): Promise<void> {
    this.#programs.kill(this.pid)
    this.program.expectEnd()
    await this.program.closed
  }

  async #ask(command: string, answer: string): Promise<string> {
    this.program.write(command)
    const line = await this.program.line()
    assert.ok(line.startsWith(answer), `${command.slice(0, 60)}: ${line}`)
    return line.slice(answer.length + 1)
  }
}
