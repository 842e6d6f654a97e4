/**
 * Holding a file: until a command ends that runs under the hold, or until being told to stop.
 *
 * Invariant: when the command of a user begins, the hold is granted; when nobody holds any more
 * what it relies on, it is told.
 */
import type { Iomode, UnshareMode } from '../base/layout.js'
import { displayPath, HoldfastError } from '../base/errors.js'
import {
  HoldingFile,
  LocalFile,
  type Client,
  type ClientHold,
  type RecallNotice,
} from '../client/index.js'
import { formatSize, type Range, type VolumeTarget } from './arguments.js'
import { Child, ChildError } from './child.js'
import { demandServer } from './connection.js'
import { printable } from './display.js'
import { inVolume } from './failure.js'
import { stayUntilStopped } from './interrupt.js'
import { print } from './output.js'
import { isRemote, fileName } from './volume_name.js'

export interface HoldingOptions {
  readonly range?: Range
  readonly reason?: string
  readonly unshare?: UnshareMode
  readonly iomode?: Iomode
  readonly onRecall?: NodeJS.Signals | 'return' | 'ignore'
  readonly onLoss?: NodeJS.Signals | 'ignore'
  readonly timeout?: number
  readonly json?: boolean
}

type Kind = ClientHold['facts']['kind']

export async function holdFile(
  kind: Kind,
  target: VolumeTarget,
  command: readonly string[],
  options: HoldingOptions,
): Promise<void> {
  const runs = command.length > 0
  if (kind === 'seal') await inVolume(target.region, async () => refuseRemote(target))
  await using client = await demandServer(target.region)
  const holding = new Holding(kind, target, options, client, runs)
  await inVolume(target.region, async () => {
    if (!runs) return stayUntilStopped((stopped) => holding.stay(stopped))
    await holding.take()
    process.exitCode = await holding.run(command)
  })
}

function refuseRemote({ region, path }: VolumeTarget): void {
  if (!isRemote(region)) return
  const detail =
    'a seal is that of a mapping, and memory is not mapped through a network; ' +
    'pin and lease hold files of another host'
  throw new HoldfastError('EPERM', detail, { path })
}

class Holding {
  readonly #kind: Kind
  readonly #target: VolumeTarget
  readonly #options: HoldingOptions
  readonly #client: Client
  /** A command runs under it, and its output is not ours. */
  readonly #runs: boolean
  #hold!: ClientHold
  #child: Child | null = null
  #recalled = false

  constructor(
    kind: Kind,
    target: VolumeTarget,
    options: HoldingOptions,
    client: Client,
    runs: boolean,
  ) {
    this.#runs = runs
    this.#kind = kind
    this.#target = target
    this.#options = options
    this.#client = client
  }

  /** Until it is told to stop, or the hold is over. */
  async stay(stopped: AbortSignal): Promise<void> {
    await this.take()
    const told = new Promise<null>((resolve) => {
      if (stopped.aborted) resolve(null)
      stopped.addEventListener('abort', () => resolve(null), { once: true })
    })
    const end = await Promise.race([this.#hold.over, told])
    if (end === null) return this.#release()
    if (end !== 'released' || !this.#recalled) throw this.#loss()
  }

  /** As long as a command runs; its exit code. */
  async run(command: readonly string[]): Promise<number> {
    const child = new Child(command, { HOLDFAST_HOLD: String(this.#hold.id) })
    this.#child = child
    void this.#hold.over.then((end) => {
      if (this.#child === null || (end === 'released' && this.#recalled)) return
      this.#say(this.#loss().message)
      const { onLoss = 'SIGTERM' } = this.#options
      if (onLoss !== 'ignore') child.signal(onLoss)
    })
    try {
      return await child.wait()
    } catch (error) {
      if (!(error instanceof ChildError)) throw error
      this.#say(error.message)
      return error.exitCode
    } finally {
      this.#child = null
      await this.#release()
    }
  }

  /** Takes the hold, and says so: where a command runs, not in its output. */
  async take(): Promise<void> {
    const { path } = this.#target
    const reads = this.#kind === 'lease' && this.#options.iomode !== 'rw'
    const file = await this.#client.open(path, reads ? 'r' : 'r+')
    if (!(file instanceof HoldingFile)) throw new HoldfastError('EOPNOTSUPP')
    this.#hold = await this.#grant(file)
    const { json, reason } = this.#options
    const { id, offset, length, extents } = this.#hold
    const facts = { id, kind: this.#kind, iomode: this.#hold.facts.iomode }
    const session = this.#client.hello.session
    if (json === true) {
      const held = { ...facts, session, ino: file.ino, offset, length, extents, reason }
      return this.#print(JSON.stringify(held))
    }
    const range = length === 0 ? 'nothing of' : `bytes ${offset} to ${offset + length - 1} of`
    const size = formatSize(length)
    return this.#print(`${this.#title} holds ${range} ${this.#name} (${size}), session ${session}`)
  }

  async #grant(file: HoldingFile): Promise<ClientHold> {
    const { range, unshare, timeout, iomode } = this.#options
    const reason = this.#options.reason ?? `holdfast ${this.#kind}`
    const common = { ...range, reason, ...(unshare === undefined ? {} : { unshare }), timeout }
    if (this.#kind === 'pin') return file.pin(common)
    if (this.#kind === 'lease') {
      const onRecall = (recall: RecallNotice) => this.#onRecall(recall)
      return file.lease({ ...common, onRecall, iomode: iomode ?? 'read' })
    }
    if (!(file instanceof LocalFile)) throw new HoldfastError('EOPNOTSUPP')
    const how = { direct: true, write: true, coherence: 'manual' } as const
    return (await file.map({ ...range, reason, ...how })).hold
  }

  /** Resolves when it is given back; of who does not, never. */
  #onRecall({ change, offset, length, deadline }: RecallNotice): Promise<void> | void {
    const { onRecall = 'return' } = this.#options
    const what = `${this.#title} is asked back for a ${change} of ${length} bytes at ${offset}`
    if (onRecall === 'return') {
      this.#recalled = true
      return this.#say(`${what}, and given back`)
    }
    this.#say(`${what}, within ${deadline} ms`)
    if (onRecall !== 'ignore') this.#child?.signal(onRecall)
    return new Promise(() => {})
  }

  async #release(): Promise<void> {
    await this.#hold.release()
  }

  #loss(): HoldfastError {
    try {
      this.#hold.demandHeld()
    } catch (error) {
      const { code, detail } = error as HoldfastError
      return new HoldfastError(code, detail, { path: this.#target.path })
    }
    return new HoldfastError('ESTALE', `${this.#title} has ended`)
  }

  get #title(): string {
    const { id, facts } = this.#hold
    return `${facts.iomode === null ? '' : `${facts.iomode} `}${this.#kind} ${id}`
  }

  get #name(): string {
    return printable(fileName(this.#target.region, displayPath(this.#target.path)))
  }

  #say(text: string): void {
    process.stderr.write(`holdfast: ${this.#kind}: ${printable(text)}\n`)
  }

  async #print(line: string): Promise<void> {
    if (this.#runs) process.stderr.write(`${line}\n`)
    else await print(`${line}\n`)
  }
}
