/**
 * Random calls of several sessions, made of what docs/PROTOCOL.md says: mostly of things that are
 * there, some of them damaged on their way.
 */
import assert from 'node:assert/strict'
import { O } from '../../src/base/open_flags.js'
import { Prng } from '../../src/base/prng.js'
import type { Granted } from '../../src/control/types.js'
import type { ResultOf } from '../../src/control/verb.js'
import { VERBS, type VerbName } from '../../src/control/verbs/index.js'
import { Encoder, ProtocolDocument, type Bias, type Value } from '../control/xdr_language.js'
import { contentOf, type HostileScene, type KeyName } from './hostile_scene.js'
import type { RawClient } from './raw_client.js'

/** Where everybody may be busy, and what is somebody's. */
const SHARED = ['a', 'b', 'c', 'd/e', 'd'].map((name) => `/shared/${name}`)
const GUARDED = ['/secret', '/ada', '/bob', '/locked/open', '/public', '/', '/locked', '/shared']
const FLAGS = [O.WRONLY, O.RDWR, O.CREAT, O.EXCL, O.TRUNC, O.APPEND, O.NONBLOCK, O.TMPFILE, 0x8000]
const EDGES = [0, 1, 511, 4095, 4096, 4097, 8192, 65_536, 1 << 21, 2 ** 32, 2 ** 44, 2 ** 53 - 1]
/** Milliseconds that a call may take. */
const LIMIT = 200
const ANSWERED_MILLISECONDS = 20_000

const { language, verbs } = new ProtocolDocument()
const names = new Map(Object.entries(VERBS).map(([name, { number }]) => [number, name as VerbName]))
/** With these root shows others what is kept from them: through their links, or by number. */
const PUBLISHING: ReadonlySet<VerbName> = new Set([
  'chmod',
  'chown',
  'setXattr',
  'link',
  'reflink',
  'reflinkRange',
  'copyRange',
  'snapshot',
])
const ofRoot = verbs.filter(({ number }) => !PUBLISHING.has(names.get(number)!))

/** What a session has seen, to ask for it again. */
class Seen {
  readonly handles: number[] = [1]
  readonly holds: number[] = [1]
  readonly stags: number[] = [1]
  readonly files: { ino: number; generation: number; key: Uint8Array }[] = []

  take(result: unknown): void {
    const said = result as Partial<ResultOf<typeof VERBS.open> & ResultOf<typeof VERBS.register>> &
      Partial<Granted>
    const { handle, ino, generation, key, extents, id, stag } = said
    if (key !== undefined) {
      remember(this.handles, handle!)
      remember(this.files, { ino: ino!, generation: generation!, key: key.slice() })
    }
    if (extents !== undefined && id !== undefined) remember(this.holds, id)
    if (stag !== undefined) remember(this.stags, stag)
  }
}

function remember<T>(list: T[], one: T): void {
  list.push(one)
  if (list.length > 12) list.shift()
}

interface User {
  readonly key: KeyName | null
  /** What must never come to it. */
  readonly secrets: readonly string[]
  client: RawClient
  seen: Seen
}

/** What ada and bob have they may show. */
const SECRETS = ['/secret', '/locked/open']
const USERS: readonly [KeyName | null, readonly string[]][] = [
  [null, []],
  ['ada', SECRETS],
  ['bob', SECRETS],
  ['reader', SECRETS],
]

export class FuzzProgram {
  readonly #scene: HostileScene
  readonly #users: User[] = []
  /** Calls that were answered, by their outcome. */
  readonly outcomes = new Map<string, number>()
  #id = 1
  readonly #waiting = new Set<Promise<void>>()

  constructor(scene: HostileScene) {
    this.#scene = scene
  }

  async #connect(user: User): Promise<void> {
    const { key, secrets } = user
    const scene = this.#scene
    user.client = key === null ? await scene.greetedLocal() : await scene.greeted(key)
    user.seen = new Seen()
    const wanted = secrets.map((path) => Buffer.from(contentOf(path).subarray(0, 24)))
    user.client.onMessage = (message) => {
      for (const secret of wanted) {
        assert.equal(
          Buffer.from(message).indexOf(secret),
          -1,
          `${String(key)} gets ${String(secret)}`,
        )
      }
    }
  }

  /** Carries out steps, each of which is a seed. */
  async run(steps: readonly number[]): Promise<void> {
    for (const [key, secrets] of USERS) {
      const user = { key, secrets, client: null as never, seen: new Seen() }
      await this.#connect(user)
      this.#users.push(user)
    }
    for (const [i, seed] of steps.entries()) {
      await this.#step(new Prng(seed))
      if (i % 40 === 39) await this.#answered()
    }
    await this.#answered()
  }

  async #answered(): Promise<void> {
    let timer: NodeJS.Timeout
    const late = new Promise<never>((_, reject) => {
      const error = new Error('a call is never answered')
      timer = setTimeout(() => reject(error), ANSWERED_MILLISECONDS)
    })
    await Promise.race([Promise.all(this.#waiting), late]).finally(() => clearTimeout(timer))
  }

  async #step(random: Prng): Promise<void> {
    const user = random.pick(this.#users)
    if (user.client.ended) await this.#connect(user)
    const verb = random.pick(user.key === null ? ofRoot : verbs)
    const id = ++this.#id
    const out = new Encoder()
    const bias = biasOf(user, this.#scene.busy, random)
    const head = { id, limit: 1 + random.below(LIMIT), as: null, verb: verb.number }
    out.word(0)
    language.encode(language.type('call'), head, out)
    language.encode(verb.args, language.generate(verb.args, random, bias), out)
    let bytes = out.all
    // Damage may name any session, that of who behaves, too; and root evicts it.
    const name = names.get(verb.number)!
    if (name !== 'evict' && random.chance(1, 8)) bytes = damaged(bytes, out, random)
    this.#ask(user, name, id, bytes)
    if (random.chance(1, 10)) {
      const cancel = new Encoder()
      cancel.word(2)
      cancel.word(random.chance(1, 2) ? id : random.next())
      user.client.send(cancel.all)
    }
    if (random.chance(1, 200)) user.client.abort()
  }

  #ask({ client, seen }: User, verb: VerbName, id: number, bytes: Uint8Array): void {
    const view = new DataView(bytes.buffer)
    // Damage that gives it another id: it is not waited for.
    const known = bytes.length >= 8 && view.getUint32(4) === id && view.getUint32(0) === 0
    client.send(bytes)
    if (!known) return
    const answer = client.wait<unknown>(verb, id).then(
      (result) => {
        seen.take(result)
        this.#count('ok')
      },
      (error: NodeJS.ErrnoException) => {
        assert.ok(error.code !== undefined && error.code !== 'ERR_ASSERTION', error)
        this.#count(error.code)
      },
    )
    this.#waiting.add(answer)
    void answer.finally(() => this.#waiting.delete(answer)).catch(() => {})
  }

  #count(outcome: string): void {
    this.outcomes.set(outcome, (this.outcomes.get(outcome) ?? 0) + 1)
  }
}

/** A word of it is another, or it is cut, or longer. */
function damaged(bytes: Uint8Array, { places }: Encoder, random: Prng): Uint8Array {
  if (random.chance(1, 4)) return bytes.slice(0, random.below(bytes.length))
  if (random.chance(1, 4)) return new Uint8Array(Buffer.concat([bytes, Buffer.alloc(4)]))
  const changed = bytes.slice()
  // Behind its head: what the verb looks at.
  const at = random.pick(places.slice(5).length > 0 ? places.slice(5) : places)
  if (at + 4 <= changed.length) {
    const word = random.pick([0, 1, 2, 0xff, 0xffff_ffff, 0x8000_0000, random.next()])
    new DataView(changed.buffer).setUint32(at, word)
  }
  return changed
}

/** Mostly what is there; root leaves the inode alone that who behaves is busy with. */
function biasOf({ key, seen }: User, busy: number, random: Prng): Bias {
  const root = key === null
  const file = seen.files.length === 0 ? null : random.pick(seen.files)
  const bytes = (): Value => {
    const all = root || random.chance(2, 3) ? SHARED : GUARDED
    return Buffer.from(random.pick(all))
  }
  const anyInode = () => {
    const ino = random.below(16)
    return root && ino === busy ? 0xffff : ino
  }
  /** From the root, or from a file by its number, with its key, another one, or none. */
  const path = (): Value => {
    if (random.chance(5, 6)) return { at: null, bytes: bytes() }
    const ino = random.chance(1, 2) ? anyInode() : (file?.ino ?? 1)
    const key = random.chance(1, 2) ? (file?.key ?? null) : null
    const at = { ino, generation: random.chance(1, 2) ? 1 : (file?.generation ?? 1), key }
    return { at, bytes: random.chance(1, 2) ? Buffer.alloc(0) : bytes() }
  }
  const size = () => (random.chance(3, 4) ? random.below(1 << 18) : random.pick(EDGES))
  const fields: Record<string, (is: string) => Value | undefined> = {
    path: (is) => (is === 'path' ? path() : undefined),
    content: (is) => (is === 'link_content' ? bytes() : undefined),
    from: (is) => (is === 'path' ? path() : random.below(300)),
    to: (is) => (is === 'path' ? path() : is === 'handle' ? random.pick(seen.handles) : size()),
    handle: () => random.pick(seen.handles),
    to_handle: () => random.pick(seen.handles),
    id: () => random.pick(seen.holds),
    hold: () => (random.chance(1, 2) ? null : random.pick(seen.holds)),
    stag: () => random.pick(seen.stags),
    ino: () => (root ? (file?.ino ?? 0xffff) : random.chance(1, 2) ? random.below(16) : file?.ino),
    generation: () => (random.chance(1, 2) ? 1 : file?.generation),
    key: () => (root || random.chance(1, 2) ? (file?.key ?? null) : null),
    flags: () => random.pick(FLAGS) | random.pick(FLAGS) | random.pick([0, O.CREAT | O.RDWR]),
    mode: (is) => (is === 'unsigned int' ? random.below(0o10000) : undefined),
    uid: () => random.pick([0, 1000, 1001, 0xffff_ffff]),
    gid: () => random.pick([0, 1000, 1001, 0xffff_ffff]),
    // Who behaves is the first session: root could evict it.
    session: () => 1000 + random.below(1000),
    timeout: () => random.below(30),
    deadline: (is) => (is === 'optional' ? random.below(30) : 1 + random.below(30)),
    slots: () => [],
    offset: size,
    position: size,
    start: size,
    length: (is) => (is === 'optional' ? (random.chance(1, 2) ? null : size()) : size()),
    size: (is) => (is === 'optional' ? null : size()),
  }
  return (field, type) => fields[field]?.(type.is === 'named' ? type.name : type.is)
}
