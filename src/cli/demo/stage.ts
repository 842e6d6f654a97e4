/**
 * Where the demo takes place: a volume that is thrown away, a server, two local processes, a remote
 * peer.
 *
 * Invariant: nothing of it outlives the demo, however that ends: the janitor, a process of its own,
 * sees to that.
 */
import { spawn, type ChildProcess } from 'node:child_process'
import { accessSync, constants, mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { systemEntropy } from '../../base/clock.js'
import { formatKey, SECRET_BYTES } from '../../control/keys.js'
import { createVolume } from '../../layout/embedded.js'
import { Asker } from './talk.js'

const MEMORY = '/dev/shm'
const REGION_BYTES = 128 << 20
const SOCKET_PATH_MAX = 100

/** A process of the demo. */
export class Actor extends Asker {
  readonly name: string
  readonly pid: number
  readonly ended: Promise<void>
  readonly #child: ChildProcess
  readonly #told: { text: string }

  constructor(name: string, child: ChildProcess) {
    super(name, child.stdout!, child.stdin!)
    this.name = name
    this.pid = child.pid!
    this.#child = child
    const told = { text: '' }
    this.#told = told
    child.stderr!.on('data', (text: Buffer) => (told.text = (told.text + text).slice(-4000)))
    this.ended = new Promise((resolve) => child.once('exit', () => resolve()))
  }

  /** What it said on its standard error, at last. */
  get said(): string {
    return this.#told.text
  }

  /** Ends it at once, as SIGKILL does. */
  async kill(): Promise<void> {
    this.#child.kill('SIGKILL')
    await this.ended
  }

  /** Ends it in order. */
  async finish(): Promise<void> {
    this.#child.stdin!.end()
    await this.ended
  }
}

function start(janitor: ChildProcess, name: string, module: string, args: string[]): Actor {
  const file = fileURLToPath(new URL(module, import.meta.url))
  // A group of its own: ^C is for the demo, which ends the others in order.
  const child = spawn(process.execPath, [file, ...args], { detached: true })
  const actor = new Actor(name, child)
  janitor.stdin!.write(`+${actor.pid}\n`)
  void actor.ended.then(() => janitor.stdin!.write(`-${actor.pid}\n`))
  return actor
}

export class Stage {
  readonly directory: string
  readonly region: string
  server!: Actor
  /** Two processes of this machine. */
  alice!: Actor
  bob!: Actor
  /** A peer that reaches the server through TCP alone. */
  nic!: Actor
  #port = 0
  readonly #janitor: ChildProcess
  readonly #cleaned: Promise<void>
  readonly #actors: Actor[] = []

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
    const args = [this.region, this.#socket, this.#keys, String(this.#port)]
    this.server = this.#start('the server', './daemon.js', args)
    this.#port = await this.server.event<number>('ready')
  }

  async #peer(name: string, ...args: string[]): Promise<Actor> {
    const [where, key] = args as [string, string?]
    const actor = this.#start(name, './peer.js', [where, name, ...(key === undefined ? [] : [key])])
    await actor.event('ready')
    return actor
  }

  #start(name: string, module: string, args: string[]): Actor {
    const actor = start(this.#janitor, name, module, args)
    this.#actors.push(actor)
    return actor
  }

  /** What the processes said on their standard errors, for who looks why something failed. */
  said(): string {
    return this.#actors
      .filter(({ said }) => said !== '')
      .map(({ name, said }) => `--- ${name}:\n${said}`)
      .join('')
  }

  /** Everything of it is gone when this resolves. */
  async close(): Promise<void> {
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
