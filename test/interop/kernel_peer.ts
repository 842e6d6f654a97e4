/** siw as a peer: verbs_peer in the guest, which is told by lines what to do. */
import assert from 'node:assert/strict'
import type { ErrorCode } from '../../src/rdma/wire/terminate.js'
import { HERE, type Guest } from './guest.js'
import type {
  Answer,
  Asked,
  Completion,
  Link,
  Listener,
  Peer,
  PeerKind,
  Piece,
  Place,
  Region,
  Requested,
  Rights,
  Work,
} from './peer.js'
import type { GuestProgram } from './program.js'

const GUEST_ADDRESS = '10.0.2.15'
const EVENT_MS = 120_000
/** How long verbs_peer may live: that of a case. */
const LIFE_SECONDS = 900

const fromHex = (text: string) => new Uint8Array(Buffer.from(text, 'hex'))
const toHex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex')

/** The value of `key=…` among words. */
function valueOf(words: readonly string[], key: string): string | undefined {
  return words.find((word) => word.startsWith(`${key}=`))?.slice(key.length + 1)
}

function optionsOf({ privateData, ird, ord }: Asked): string {
  const data = privateData === undefined ? '' : ` data=${toHex(privateData)}`
  return `${data}${ird === undefined ? '' : ` ird=${ird}`}${ord === undefined ? '' : ` ord=${ord}`}`
}

class KernelRegion implements Region {
  readonly stag: number
  readonly address: bigint
  readonly length: number
  readonly name: string
  readonly #peer: KernelPeer

  constructor(peer: KernelPeer, name: string, length: number, words: readonly string[]) {
    this.#peer = peer
    this.name = name
    this.length = length
    this.stag = Number(valueOf(words, 'stag'))
    this.address = BigInt(valueOf(words, 'address')!)
  }

  async fill(offset: number, length: number, seed: number): Promise<void> {
    await this.#peer.ask(`fill ${this.name} ${offset} ${length} ${seed}`)
  }

  async difference(offset: number, length: number, seed: number): Promise<string | null> {
    const words = await this.#peer.ask(`compare ${this.name} ${offset} ${length} ${seed}`)
    return words[0] === 'same' ? null : words.join(' ')
  }

  async show(offset: number, length: number): Promise<Uint8Array> {
    const words = await this.#peer.ask(`show ${this.name} ${offset} ${length}`)
    return fromHex(words[0] ?? '')
  }

  async deregister(): Promise<void> {
    await this.#peer.ask(`deregister ${this.name}`)
  }
}

const pieceOf = ({ region, offset, length }: Piece) =>
  `${(region as KernelRegion).name} ${offset} ${length}`

export class KernelLink implements Link {
  readonly name: string
  readonly #peer: KernelPeer

  constructor(peer: KernelPeer, name: string) {
    this.#peer = peer
    this.name = name
  }

  async receive(id: number, into: Piece): Promise<void> {
    await this.#peer.ask(`receive ${this.name} ${id} ${pieceOf(into)}`)
  }

  async post(work: Work): Promise<void> {
    const { op, id, local, remote } = work
    const to = remote === undefined ? '' : ` ${remote.stag} ${remote.address}`
    const flags = [
      work.invalidate === undefined ? '' : ` invalidate=${work.invalidate}`,
      work.solicited === true ? ' solicited=1' : '',
      work.fence === true ? ' fence=1' : '',
    ]
    await this.#peer.ask(`${op} ${this.name} ${id} ${pieceOf(local)}${to}${flags.join('')}`)
  }

  async completion(id: number): Promise<Completion> {
    const words = await this.#peer.event(`completion ${this.name} ${id}`)
    const [status, op] = words
    const invalidated = valueOf(words, 'invalidated')
    return {
      id,
      status: status!,
      op: op!,
      bytes: Number(valueOf(words, 'bytes')),
      invalidated: invalidated === undefined ? null : Number(invalidated),
      solicited: null,
    }
  }

  async connect(asked: Asked = {}): Promise<Answer> {
    await this.#peer.ask(`connect ${this.name}${optionsOf(asked)}`)
    const words = await this.#peer.event(`cm ${this.name}`)
    const privateData = fromHex(valueOf(words, 'data')!)
    if (words[0] === 'ESTABLISHED') return { accepted: true, privateData }
    if (words[0] === 'REJECTED') return { accepted: false, privateData }
    throw new Error(`siw's connect: ${words.join(' ')}`)
  }

  async accept(asked: Asked = {}): Promise<void> {
    await this.#peer.ask(`accept ${this.name}${optionsOf(asked)}`)
    const words = await this.#peer.event(`cm ${this.name}`)
    assert.equal(words[0], 'ESTABLISHED', words.join(' '))
  }

  async reject(privateData: Uint8Array): Promise<void> {
    await this.#peer.ask(`reject ${this.name} data=${toHex(privateData)}`)
  }

  async disconnect(): Promise<void> {
    await this.#peer.ask(`disconnect ${this.name}`)
  }

  async end(): Promise<void> {
    const words = await this.#peer.event(`cm ${this.name}`)
    assert.equal(words[0], 'DISCONNECTED', words.join(' '))
    // As every program does then: until it does, siw may leave requests without a completion.
    await this.#peer.ask(`disconnect ${this.name}`).catch(() => {})
  }

  async event(): Promise<string> {
    const [event] = await this.#peer.event(`async ${this.name}`)
    return event!
  }

  async terminate(from: PeerKind): Promise<ErrorCode | null> {
    const heard = await this.#peer.terminate()
    if (heard === null || from === 'siw') return heard
    // siw has layer and type the other way round than the RFC, when it speaks and when it hears.
    const [layer, type, code] = heard
    return [type, layer, code]
  }

  async close(): Promise<void> {
    await this.#peer.ask(`close ${this.name}`)
  }
}

export class KernelPeer implements Peer {
  readonly kind = 'siw'
  readonly #guest: Guest
  readonly #program: GuestProgram
  /** The last command: each has its answer before the next. */
  #asked: Promise<unknown> = Promise.resolve()
  #names = 0

  private constructor(guest: Guest, program: GuestProgram) {
    this.#guest = guest
    this.#program = program
  }

  static async start(guest: Guest): Promise<KernelPeer> {
    const program = await guest.start('verbs_peer', LIFE_SECONDS)
    await program.take((line) => (line === 'ready' ? true : undefined))
    return new KernelPeer(guest, program)
  }

  /** The words of the answer. Throws when that is a failure. */
  async ask(command: string): Promise<readonly string[]> {
    const answer = this.#asked.then(async () => {
      this.#program.write(command)
      return await this.#program.take((line) => /^(ok|fail) ?(.*)$/.exec(line) ?? undefined)
    })
    this.#asked = answer.catch(() => {})
    const [line, verdict, rest] = await answer
    if (verdict !== 'ok') throw new Error(`${command}: ${line}`)
    return rest!.split(' ')
  }

  /** The words behind the first event that begins so. */
  async event(beginning: string): Promise<readonly string[]> {
    const start = `${beginning} `
    return await this.#program.take(
      (line) => (line.startsWith(start) ? line.slice(start.length).split(' ') : undefined),
      EVENT_MS,
    )
  }

  /** Of the connection that was last: the kernel does not say which it was. */
  async terminate(): Promise<ErrorCode | null> {
    const said = /siw: got TERMINATE\. layer (\d+), type (\d+), code (\d+)/
    for (const line of (await this.#guest.kernelLog()).toReversed()) {
      const [, layer, type, code] = said.exec(line) ?? []
      if (layer !== undefined) return [Number(layer), Number(type), Number(code)]
    }
    return null
  }

  newName(): string {
    return `n${this.#names++}`
  }

  async listen(): Promise<Listener> {
    const name = this.newName()
    const port = this.#guest.newPort()
    await this.ask(`listen ${name} ${port.guest}`)
    return {
      place: (from: PeerKind) =>
        from === 'siw'
          ? { host: GUEST_ADDRESS, port: port.guest }
          : { host: HERE, port: port.host },
      request: () => this.#request(name),
      close: async () => void (await this.ask(`close ${name}`)),
    }
  }

  async #request(listener: string): Promise<Requested> {
    const words = await this.event(`cm ${listener} CONNECT_REQUEST`)
    return {
      privateData: fromHex(valueOf(words, 'data')!),
      // The names of verbs are those of the side that answers.
      depths: { ird: Number(valueOf(words, 'ord')), ord: Number(valueOf(words, 'ird')) },
      take: async (domain = 0) => {
        const name = this.newName()
        await this.ask(`take ${name} domain=${domain}`)
        return new KernelLink(this, name)
      },
    }
  }

  async open(place: Place, domain = 0): Promise<Link> {
    const name = this.newName()
    await this.ask(`open ${name} ${place.host} ${place.port} domain=${domain}`)
    return new KernelLink(this, name)
  }

  async region(length: number, rights: Rights, domain = 0): Promise<Region> {
    const name = this.newName()
    const words = await this.ask(`region ${name} ${length} ${rights} domain=${domain}`)
    return new KernelRegion(this, name, length, words)
  }

  async kill(): Promise<void> {
    await this.#guest.kill(this.#program)
  }

  async close(): Promise<void> {
    this.#program.end()
    assert.equal(await this.#program.ended, 0, this.#program.lines.join('\n'))
  }
}
