/**
 * One client that does anything that clients do, to its own files and those of others, and looks
 * through its mappings all the time at whose bytes they show.
 *
 * Invariants:
 * - all that it sees, by reads and by mappings, is of the file and the block where it sees it;
 * - a file of its own has in each block what it wrote last, and nothing else;
 * - of files of its own it says what is durable, before it goes on.
 */
import { BLOCK_BYTES } from '../../src/base/limits.js'
import type { FileMapping } from '../../src/base/mapping.js'
import type { Prng } from '../../src/base/prng.js'
import type { Client } from '../../src/client/index.js'
import type { ClientHold, OnRecall } from '../../src/client/hold.js'
import type { FileLayout } from '../../src/client/layout.js'
import type { LocalFile } from '../../src/client/local_file.js'
import type { RemoteFile } from '../../src/client/remote_file.js'
import {
  blockBytes,
  named,
  nameOf,
  SEQUENCE_MAX,
  sequenceOf,
  word,
  WORDS,
  wordsOf,
  wrong,
} from './content.js'

/** What a client may be told in such a crowd. */
const EXPECTED = new Set(
  'EBUSY ETXTBSY EAGAIN ENOSPC ESTALE ENOENT EEXIST ECONNRESET EINTR ENOMEM EINVAL'.split(' '),
)
const MAPPINGS_MAX = 24
const PINS_MAX = 150
/** Pins that are taken at once. */
const PINS_A_TIME = 25
const OWN_MAX = 4
const FILE_BLOCKS = 12
const NUMBERS_A_CLIENT = 1 << 14

export type Durable = { readonly name: string; readonly sequences: readonly number[] }

export interface Ears {
  durable(what: Durable): void
  /** A file is not to be looked for any more. */
  forgotten(name: string): void
}

interface Mapped {
  readonly name: string
  readonly family: readonly number[]
  readonly own: Own | null
  readonly file: LocalFile
  readonly mapping: FileMapping
  readonly kind: 'seal' | 'lease'
}

/** A file that nobody else writes to: what each block may have, as sequence numbers. */
class Own {
  readonly name: string
  readonly id: number
  readonly family: readonly number[]
  readonly least: number[]
  readonly most: number[]
  /** Bytes are under way to it. */
  busy = false
  /** Blocks whose last write by RDMA did not come to its end. */
  readonly torn = new Set<number>()
  sequence = 0

  constructor(name: string, family: readonly number[], blocks: number) {
    this.name = name
    this.id = family[0]!
    this.family = family
    this.least = new Array<number>(blocks).fill(0)
    this.most = new Array<number>(blocks).fill(0)
  }

  next(): number {
    if (this.sequence === SEQUENCE_MAX) throw new Error('too many writes to one file')
    return ++this.sequence
  }

  /** How often something that was stored may have been lost: its mapping was fenced. */
  doubts = 0

  doubt(): void {
    this.least.fill(0)
    this.doubts++
  }
}

export class Roamer {
  readonly client: Client
  /** What was wrong. */
  readonly faults: string[] = []
  readonly done = new Map<string, number>()
  readonly number: number
  readonly #prng: Prng
  readonly #ears: Ears
  readonly #mapped: Mapped[] = []
  readonly #pins: { hold: ClientHold; file: LocalFile }[] = []
  readonly #own = new Map<string, Own>()
  #count = 0
  #paused = false
  #ended = false
  #running: Promise<void> = Promise.resolve()
  #stopLooking = () => {}

  constructor(client: Client, number: number, prng: Prng, ears: Ears) {
    this.client = client
    this.number = number
    this.#prng = prng
    this.#ears = ears
  }

  go(): void {
    this.#paused = false
    this.#running = this.#roam()
    const timer = setInterval(() => this.#guard(() => this.#glance()), 15)
    this.#stopLooking = () => clearInterval(timer)
  }

  /** Stands still, with all that it has. */
  async pause(): Promise<void> {
    this.#paused = true
    await this.#running
    this.#stopLooking()
  }

  /** Gives all back. */
  async leave(): Promise<void> {
    await this.pause()
    this.#ended = true
    for (const one of this.#mapped.splice(0)) this.#drop(one)
    for (const { hold, file } of this.#pins.splice(0)) {
      await this.#try(() => hold.release())
      await this.#try(() => file.close())
    }
  }

  /** What it holds, as it knows. */
  held(): { kind: string; ino: number }[] {
    const all = this.#mapped.filter((one) => this.#words(one) !== null)
    return [
      ...all.map(({ kind, file }) => ({ kind, ino: file.ino })),
      ...this.#pins
        .filter(({ hold }) => hold.held)
        .map(({ file }) => ({ kind: 'pin', ino: file.ino })),
    ]
  }

  /** Looks at all that it can see. */
  async look(): Promise<void> {
    for (const one of [...this.#mapped]) this.#check(one)
    for (const own of this.#own.values()) await this.#try(() => this.#read(own.name))
  }

  // ---- what it does ----------------------------------------------------------------------------

  async #roam(): Promise<void> {
    while (!this.#paused && !this.#ended) {
      const [name, action] = this.#action()
      await this.#try(action, name)
      await new Promise((resolve) => setTimeout(resolve, this.#prng.below(4)))
    }
  }

  /** What is not expected is wrong. */
  async #try(run: () => unknown, name = ''): Promise<void> {
    try {
      await run()
      this.done.set(name, (this.done.get(name) ?? 0) + 1)
    } catch (error) {
      const { code = '', stack } = error as NodeJS.ErrnoException
      if (!EXPECTED.has(code)) this.faults.push(`${name}: ${stack}`)
      const key = `${name} ${code}`
      this.done.set(key, (this.done.get(key) ?? 0) + 1)
    }
  }

  #guard(run: () => void): void {
    try {
      run()
    } catch (error) {
      this.faults.push(String((error as Error).stack))
    }
  }

  #action(): [string, () => Promise<unknown>] {
    const mapping = this.client.where.startsWith('hf:') ? 0 : 1
    const actions: [number, string, () => Promise<unknown>][] = [
      [mapping === 0 ? 16 : 0, 'one-sided', async () => this.#oneSided(await this.#any())],
      [mapping === 0 ? 8 : 0, 'one-sided own', () => this.#oneSided(this.#one())],
      [this.#own.size < OWN_MAX ? 8 : 1, 'make', () => this.#make()],
      [
        this.#mapped.length < MAPPINGS_MAX ? 16 * mapping : 0,
        'map',
        async () => this.#map(await this.#any()),
      ],
      [8 * mapping, 'map own', () => this.#map(this.#one())],
      [6, 'unmap', () => this.#unmap()],
      [this.#pins.length < PINS_MAX ? 12 : 2, 'pin', async () => this.#pin(await this.#any())],
      [this.#pins.length < PINS_MAX ? 3 : 0, 'pins', async () => this.#pinMany(await this.#any())],
      [6, 'unpin', () => this.#unpin()],
      [10, 'read', async () => this.#read(await this.#any())],
      [8, 'write', async () => this.#write(await this.#any())],
      [6, 'persist', () => this.#persist()],
      [4, 'clone', async () => this.#clone(await this.#any())],
      [5, 'move', async () => this.#move(await this.#any())],
      [4, 'truncate', async () => this.#truncate(await this.#any())],
      [3, 'punch', async () => this.#punch(await this.#any())],
      [3, 'unlink', async () => this.#unlink(await this.#any())],
    ]
    let at = this.#prng.below(actions.reduce((sum, [weight]) => sum + weight, 0))
    for (const [weight, name, run] of actions) if ((at -= weight) < 0) return [name, run]
    throw new Error('no action')
  }

  /** Milliseconds that holders have, so that many are fenced and nobody waits long. */
  #patience() {
    const deadline = 20 + this.#prng.below(200)
    return { deadline, timeout: 200 }
  }

  #id(): number {
    return this.number * NUMBERS_A_CLIENT + ++this.#count
  }

  /** The name of some file. */
  async #any(): Promise<string> {
    const entries = await this.client.readdir('/')
    const names = entries.map(({ name }) => Buffer.from(name).toString()).filter((n) => named(n))
    return names.length === 0 ? this.#one() : this.#prng.pick(names)
  }

  /** The name of a file of its own. */
  #one(): string {
    return this.#own.size === 0 ? 'p0' : this.#prng.pick([...this.#own.keys()])
  }

  async #make(): Promise<void> {
    const own = this.#prng.chance(1, 2) && this.#own.size < OWN_MAX
    const id = this.#id()
    const name = nameOf(id, [], own)
    const blocks = 1 + this.#prng.below(FILE_BLOCKS)
    const file = await this.client.open(`/${name}`, 'wx+')
    // Others see it from here on: it is full of holes for a while.
    const mine = own ? new Own(name, [id], blocks) : null
    if (mine !== null) this.#own.set(name, mine)
    try {
      for (let block = 0; block < blocks; block++) await this.#place(file, mine, id, block)
    } finally {
      await file.close()
    }
  }

  async #write(name: string): Promise<void> {
    const { family, own, id } = named(name)!
    const mine = this.#own.get(name) ?? null
    if (own && mine === null) return
    const file = await this.client.open(`/${name}`, 'r+')
    try {
      const { size } = await file.stat()
      const blocks = mine?.least.length ?? Math.ceil(size / BLOCK_BYTES)
      if (blocks > 0) await this.#place(file, mine, family[0] ?? id, this.#prng.below(blocks))
      if (this.#prng.chance(1, 3)) {
        const sequences = mine === null ? [] : [...mine.least]
        await file.sync()
        if (mine !== null) this.#ears.durable({ name, sequences })
      }
    } finally {
      await file.close()
    }
  }

  /** Writes a block through the server. */
  async #place(
    file: Pick<LocalFile, 'write'>,
    own: Own | null,
    id: number,
    block: number,
  ): Promise<void> {
    const sequence = own?.next() ?? this.#prng.below(1000)
    if (own === null) {
      await file.write(blockBytes(id, block, sequence), block * BLOCK_BYTES)
      return
    }
    own.busy = true
    own.most[block] = sequence
    try {
      const written = await file.write(blockBytes(id, block, sequence), block * BLOCK_BYTES)
      if (written !== BLOCK_BYTES) return
      own.least[block] = sequence
      own.torn.delete(block)
    } finally {
      own.busy = false
    }
  }

  async #read(name: string): Promise<void> {
    const { family } = named(name)!
    const own = this.#own.get(name) ?? null
    const file = await this.client.open(`/${name}`, 'r')
    try {
      const { size } = await file.stat()
      const bytes = new Uint8Array(Math.min(size, FILE_BLOCKS * BLOCK_BYTES))
      const before = [...(own?.least ?? [])]
      const doubts = this.#doubts(own)
      const got = await file.read(bytes, 0)
      if (got % BLOCK_BYTES !== 0) return
      this.#demand(wordsOf(bytes.subarray(0, got)), family, `read ${name}`)
      if (this.#doubts(own) !== doubts) return
      if (own !== null && !own.busy) this.#demandOwn(own, wordsOf(bytes.subarray(0, got)), before)
    } finally {
      await file.close()
    }
  }

  async #truncate(name: string): Promise<void> {
    if (named(name)!.own) return
    const size = this.#prng.below(FILE_BLOCKS + 1) * BLOCK_BYTES
    const policy = this.#prng.pick(['busy', 'defer', 'wait'] as const)
    await this.client.truncate(`/${name}`, size, undefined, { ...this.#patience(), policy })
  }

  async #punch(name: string): Promise<void> {
    if (named(name)!.own) return
    const file = await this.client.open(`/${name}`, 'r+')
    try {
      const policy = this.#prng.pick(['busy', 'defer'] as const)
      const from = this.#prng.below(FILE_BLOCKS) * BLOCK_BYTES
      await file.punch(from, (1 + this.#prng.below(4)) * BLOCK_BYTES, {
        ...this.#patience(),
        policy,
      })
    } finally {
      await file.close()
    }
  }

  async #unlink(name: string): Promise<void> {
    if (named(name)!.own) {
      if (this.#own.size < OWN_MAX || !this.#own.has(name)) return
      this.#ears.forgotten(name)
      this.#own.delete(name)
    }
    await this.client.unlink(`/${name}`)
  }

  async #clone(name: string): Promise<void> {
    const { family } = named(name)!
    if (family.length > 4) return
    const share = this.#prng.pick(['copy', 'strict'] as const)
    await this.client.reflink(`/${name}`, `/${nameOf(this.#id(), family)}`, {
      ...this.#patience(),
      share,
    })
  }

  async #move(name: string): Promise<void> {
    await this.client.defragment(`/${name}`, {
      ...this.#patience(),
      force: this.#prng.chance(1, 6) && !named(name)!.own,
    })
  }

  async #pin(name: string): Promise<void> {
    const file = (await this.client.open(`/${name}`, 'r+')) as LocalFile
    try {
      const offset = this.#prng.below(4) * BLOCK_BYTES
      const length = BLOCK_BYTES * (1 + this.#prng.below(4))
      // Own files are not made longer.
      if (named(name)!.own && offset + length > (await file.stat()).size) return await file.close()
      const reason = 'a pin of a test'
      this.#pins.push({
        hold: await file.pin({ offset, length, reason, ...this.#patience() }),
        file,
      })
    } catch (error) {
      await file.close().catch(() => {})
      throw error
    }
  }

  async #pinMany(name: string): Promise<void> {
    await Promise.all(Array.from({ length: PINS_A_TIME }, () => this.#pin(name)))
  }

  async #unpin(): Promise<void> {
    if (this.#pins.length === 0) return
    const [{ hold, file }] = this.#pins.splice(this.#prng.below(this.#pins.length), 1) as [
      { hold: ClientHold; file: LocalFile },
    ]
    await hold.release()
    await file.close()
  }

  // ---- one-sided -------------------------------------------------------------------------------

  /**
   * Reads a file by RDMA, and writes a block of one of its own, under a lease that may be asked
   * back, or fenced, meanwhile.
   */
  async #oneSided(name: string): Promise<void> {
    const { family } = named(name)!
    const own = this.#own.get(name) ?? null
    const file = (await this.client.open(`/${name}`, 'r+')) as RemoteFile
    try {
      const blocks = Math.floor((await file.stat()).size / BLOCK_BYTES)
      if (blocks === 0) return
      const iomode = own === null ? ('read' as const) : ('rw' as const)
      const lease = { length: blocks * BLOCK_BYTES, iomode, onRecall: this.#answer() }
      await using layout = await file.layout({ ...lease, ...this.#patience() })
      if (own !== null) await this.#placeOneSided(own, layout, this.#prng.below(blocks))
      const before = [...(own?.least ?? [])]
      const words = wordsOf(await layout.read(0, blocks * BLOCK_BYTES))
      this.#demand(words, family, `one-sided read of ${name}`)
      if (own === null) return
      if (!own.busy) this.#demandOwn(own, words, before)
      await layout.commit()
      this.#ears.durable({ name, sequences: before })
    } finally {
      await file.close()
    }
  }

  async #placeOneSided(own: Own, layout: FileLayout, block: number): Promise<void> {
    if ((own.least[block] ?? 0) === 0) return
    const sequence = own.next()
    // Cut off in the middle, it may be neither that of before nor this one.
    own.least[block] = 0
    this.#ears.durable({ name: own.name, sequences: [...own.least] })
    own.torn.add(block)
    own.most[block] = sequence
    await layout.write(block * BLOCK_BYTES, blockBytes(own.id, block, sequence))
    own.torn.delete(block)
    own.least[block] = sequence
  }

  // ---- mappings --------------------------------------------------------------------------------

  async #map(name: string): Promise<void> {
    const { family, own: theirs } = named(name)!
    const own = this.#own.get(name) ?? null
    const write = theirs && own === null ? false : this.#prng.chance(2, 3)
    const direct = this.#prng.chance(1, 3)
    const file = (await this.client.open(`/${name}`, 'r+')) as LocalFile
    try {
      const onRecall = this.#answer()
      const mapping = await file.map({ write, direct, onRecall })
      const kind = direct ? ('seal' as const) : ('lease' as const)
      const one = { name, family, own, file, mapping, kind }
      this.#mapped.push(one)
      this.#check(one)
    } catch (error) {
      await file.close().catch(() => {})
      throw error
    }
  }

  /** How it answers when it is asked for a mapping. */
  #answer(): OnRecall {
    const way = this.#prng.below(10)
    if (way === 0) return () => new Promise(() => {})
    if (way > 3) return () => {}
    const wait = this.#prng.below(60)
    return () => new Promise((resolve) => setTimeout(resolve, wait))
  }

  #unmap(): Promise<void> {
    const [one] = this.#mapped.splice(this.#prng.below(this.#mapped.length + 1), 1)
    if (one !== undefined) this.#drop(one)
    return Promise.resolve()
  }

  #drop(one: Mapped): void {
    this.#check(one)
    one.mapping.unmap()
    one.file.close().catch(() => {})
  }

  /** What a mapping shows; null: it has ended. */
  #words({ mapping, own }: Mapped): Uint32Array | null {
    try {
      return wordsOf(new Uint8Array(mapping.buffer))
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException
      if (!EXPECTED.has(String(code))) throw error
      // Stores after a fence are lost to the file; of one, who is cut off is not told.
      if (!message.includes('released')) own?.doubt()
      return null
    }
  }

  /** What is known of a file after all that is known of its mappings. */
  #doubts(own: Own | null): number {
    if (own === null) return 0
    for (const one of [...this.#mapped]) {
      if (one.own !== own || this.#words(one) !== null) continue
      this.#mapped.splice(this.#mapped.indexOf(one), 1)
      one.file.close().catch(() => {})
    }
    return own.doubts
  }

  /** Stores through one mapping, and looks at some. */
  #glance(): void {
    if (this.#mapped.length === 0) return
    const one = this.#prng.pick(this.#mapped)
    if (one.mapping.writable && (one.own === null || !one.own.busy)) this.#store(one)
    for (let i = 0; i < 4 && this.#mapped.length > 0; i++)
      this.#check(this.#prng.pick(this.#mapped))
  }

  #store(one: Mapped): void {
    const words = this.#words(one)
    const blocks = Math.floor((words?.length ?? 0) / (2 * WORDS))
    if (words === null || blocks === 0) return
    const block = this.#prng.below(blocks)
    const { own, family } = one
    const sequence = own?.next() ?? this.#prng.below(1000)
    const at = words.byteOffset + block * BLOCK_BYTES
    new BigUint64Array(words.buffer, at, WORDS).fill(word(family[0]!, block, sequence))
    if (own !== null && block < own.least.length) own.least[block] = own.most[block] = sequence
  }

  #check(one: Mapped): void {
    const words = this.#words(one)
    if (words === null) {
      const at = this.#mapped.indexOf(one)
      if (at >= 0) this.#mapped.splice(at, 1)
      one.file.close().catch(() => {})
      return
    }
    this.#demand(words, one.family, `mapping of ${one.name}`)
    this.#doubts(one.own)
    if (one.own !== null && !one.own.busy) this.#demandOwn(one.own, words, one.own.least)
  }

  async #persist(): Promise<void> {
    if (this.#mapped.length === 0) return
    const one = this.#prng.pick(this.#mapped)
    if (this.#words(one) === null) return
    const sequences = one.own === null ? [] : [...one.own.least]
    one.mapping.persist()
    // A fence that had come before is known after this.
    await this.client.statfs()
    if (this.#words(one) !== null && one.own !== null && this.#own.has(one.name)) {
      this.#ears.durable({ name: one.name, sequences })
    }
  }

  // ---- what it sees ----------------------------------------------------------------------------

  #demand(words: Uint32Array, family: readonly number[], where: string): void {
    const fault = wrong(words, family, 0)
    if (fault !== null) this.faults.push(`${where}: ${fault}`)
  }

  #demandOwn(own: Own, words: Uint32Array, least: readonly number[]): void {
    const blocks = Math.min(Math.floor(words.length / (2 * WORDS)), own.least.length)
    for (let block = 0; block < blocks; block++) {
      if (own.torn.has(block)) continue
      const found = sequenceOf(words, block)
      if (found !== null && found >= least[block]! && found <= own.most[block]!) continue
      this.faults.push(
        `${own.name}, block ${block}: ${found ?? 'torn'}, and not ${least[block]} to ` +
          `${own.most[block]}`,
      )
    }
  }
}
