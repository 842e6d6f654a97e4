/**
 * Where the demo takes place: a volume that is thrown away, a server, two local processes, a remote
 * peer.
 *
 * Invariant: nothing of it outlives the demo, however that ends: the janitor, a process of its own,
 * sees to that.
 */
import { spawn, type ChildProcess, type ChildProcessWithoutNullStreams } from 'node:child_process'
import { accessSync, constants, mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { systemEntropy } from '../../base/clock.js'
import { formatKey, SECRET_BYTES } from '../../control/keys.js'
import { createVolume } from '../../layout/embedded.js'
import { Asker } from './talk.js'

const MEMORY = '/dev/shm'
const REGION_BYTES = 128 << 20
const SOCKET_PATH_MAX = 100

const HERE = fileURLToPath(new URL('.', import.meta.url))

/** A process of the demo. */
class Process {
  readonly name: string
  readonly child: ChildProcessWithoutNullStreams
  readonly pid: number
  /** Resolves with its exit code; null when a signal has ended it. */
  readonly ended: Promise<number | null>
  /** What it said on its standard error, at last. */
  said = ''
  /** It is to end. */
  leaving = false

  constructor(name: string, janitor: ChildProcess, module: string, args: readonly string[]) {
    this.name = name
    // A group of its own: ^C is for the demo, which ends the others.
    this.child = spawn(process.execPath, [join(HERE, module), ...args], { detached: true })
    this.pid = this.child.pid!
    this.child.stderr.on('data', (text: Buffer) => (this.said = `${this.said}${text}`.slice(-4000)))
    janitor.stdin!.write(`+${this.pid}\n`)
    this.ended = new Promise((resolve) => {
      this.child.once('exit', (code) => {
        janitor.stdin!.write(`-${this.pid}\n`)
        resolve(code)
      })
    })
  }
}

/** `holdfast serve`. */
export class ServerProcess extends Process {
  /** Where it listens; rejects when it has ended before. */
  ready(): Promise<{ listen: { port: number } }> {
    return new Promise((resolve, reject) => {
      const lines = createInterface({ input: this.child.stdout })
      lines.once('line', (line) => resolve(JSON.parse(line) as { listen: { port: number } }))
      lines.once('close', () => reject(new Error('the server did not start')))
    })
  }

  /** Ends it at once. */
  async kill(): Promise<void> {
    this.leaving = true
    this.child.kill('SIGKILL')
    await this.ended
  }

  /** Ends it in order; its exit code. */
  stop(): Promise<number | null> {
    this.leaving = true
    this.child.kill('SIGTERM')
    return this.ended
  }
}

/** A client, which does what it is asked. */
export class Actor extends Process {
  readonly #asker: Asker

  constructor(name: string, janitor: ChildProcess, args: readonly string[]) {
    super(name, janitor, 'peer.js', args)
    this.#asker = new Asker(name, this.child.stdout, this.child.stdin)
  }

  ask<T>(ask: string, args?: unknown): Promise<T> {
    return this.#asker.ask(ask, args)
  }

  event<T>(name: string): Promise<T> {
    return this.#asker.event(name)
  }

  /** Ends it in order. */
  async finish(): Promise<void> {
    this.leaving = true
    this.child.stdin.end()
    await this.ended
  }
}

export class Stage {
  readonly directory: string
  readonly region: string
  server!: ServerProcess
  /** Two processes of this machine. */
  alice!: Actor
  bob!: Actor
  /** A peer that reaches the server through TCP alone. */
  nic!: Actor
  #port = 0
  readonly #janitor: ChildProcess
  readonly #cleaned: Promise<void>
  readonly #all: Process[] = []
  #lose!: (error: Error) => void
  #closing = false
  /** Rejects when a process has ended that was not to. */
  readonly lost: Promise<never>

  private constructor(directory: string) {
    this.directory = directory
    this.region = join(directory, 'demo.hf')
    const file = fileURLToPath(new URL('./janitor.js', import.meta.url))
    const stdio = ['pipe', 'ignore', 'inherit'] as const
    this.#janitor = spawn(process.execPath, [file, directory], {
      detached: true,
      stdio: [...stdio],
    })
    this.#janitor.stdin!.on('error', () => {})
    this.lost = new Promise((_, reject) => (this.#lose = reject))
    this.lost.catch(() => {})
    this.#cleaned = new Promise((resolve) => this.#janitor.once('exit', () => resolve()))
  }

  static async open(): Promise<Stage> {
    const stage = new Stage(mkdtempSync(join(memoryDirectory(), 'holdfast-demo-')))
    try {
      await stage.#begin()
      return stage
    } catch (error) {
      await stage.close()
      throw error
    }
  }

  get #keys(): string {
    return join(this.directory, 'keys')
  }

  get #socket(): string {
    return join(this.directory, 'socket')
  }

  /** Where the remote peer finds the server. */
  get url(): string {
    return `hf://127.0.0.1:${this.#port}`
  }

  async #begin(): Promise<void> {
    createVolume(this.region, REGION_BYTES, { label: 'demo' })
    const secret = new Uint8Array(SECRET_BYTES)
    systemEntropy.fill(secret)
    const identity = { uid: process.getuid!(), gid: process.getgid!(), groups: [], readOnly: false }
    const key = formatKey({ id: 'nic', secret, identity, comment: 'the remote peer' })
    writeFileSync(this.#keys, `${key}\n`, { mode: 0o600 })
    await this.startServer()
    const peers = await Promise.all([
      this.#peer('alice', this.#socket),
      this.#peer('bob', this.#socket),
      this.#peer('nic', this.url, this.#keys),
    ])
    ;[this.alice, this.bob, this.nic] = peers as [Actor, Actor, Actor]
  }

  /** Starts the server, also the next one after one that was killed. */
  async startServer(): Promise<void> {
    const places = ['--socket', this.#socket, '--listen', `127.0.0.1:${this.#port}`]
    const args = ['serve', '--json', ...places, '--keys', this.#keys, this.region]
    this.server = new ServerProcess('server', this.#janitor, '../main.js', args)
    this.#add(this.server)
    this.#port = (await this.server.ready()).listen.port
  }

  async #peer(name: string, where: string, ...key: string[]): Promise<Actor> {
    const actor = new Actor(name, this.#janitor, [where, name, ...key])
    this.#add(actor)
    await actor.event('ready')
    return actor
  }

  #add(process: Process): void {
    this.#all.push(process)
    void process.ended.then((code) => {
      if (process.leaving || this.#closing) return
      const how = code === null ? 'by a signal' : `with exit code ${code}`
      this.#lose(new Error(`${process.name} has ended ${how}, and was not to`))
    })
  }

  /** What the processes said on their standard errors, for who looks why something failed. */
  said(): string {
    return this.#all
      .filter(({ said }) => said !== '')
      .map(({ name, said }) => `--- ${name}:\n${said}`)
      .join('')
  }

  /** Everything of it is gone when this resolves. */
  async close(): Promise<void> {
    this.#closing = true
    this.#janitor.stdin!.end()
    await this.#cleaned
  }
}

/** Memory, where that may be written to; else the directory for what is temporary. */
function memoryDirectory(): string {
  try {
    accessSync(MEMORY, constants.W_OK)
    return MEMORY
  } catch {
    const directory = tmpdir()
    return directory.length > SOCKET_PATH_MAX ? '/tmp' : directory
  }
}
