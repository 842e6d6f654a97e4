/**
 * Many clients in a few programs, a daemon, and what happens to all of them: the kinds of death and
 * silence, by a seed. Between two rounds everybody stands still, and what the server reports is
 * compared with what the clients say that they have.
 */
import assert from 'node:assert/strict'
import { isDeepStrictEqual } from 'node:util'
import type { StatFs } from '../../src/base/filesystem.js'
import { Prng } from '../../src/base/prng.js'
import { BLOCK_BYTES } from '../../src/base/limits.js'
import { openVolume } from '../../src/layout/embedded.js'
import type { LayoutVolume } from '../../src/layout/volume.js'
import { Actor } from '../processes/actor.js'
import { until } from '../processes/program.js'
import { named, sequenceOf, wordsOf, wrong } from './content.js'
import type { Durable } from './roamer.js'
import type { Scene } from './scene.js'

export interface CrowdOptions {
  readonly seed: number
  /** Programs, and clients in each. */
  readonly programs: number
  readonly clients: number
  /** How long it goes on. */
  readonly seconds: number
  /** Milliseconds between two blows. */
  readonly pace: number
  /** Tells how it goes. */
  readonly say?: (text: string) => void
}

interface Said {
  readonly faults: readonly string[]
  readonly done: Readonly<Record<string, number>>
}

interface Member {
  readonly actor: Actor
  /** Its clients come over a network. */
  readonly remote: boolean
  /** It stands still, and says nothing. */
  stopped: boolean
}

export class Crowd {
  readonly #scene: Scene
  readonly #options: CrowdOptions
  readonly #prng: Prng
  readonly #members: Member[] = []
  #numbers = 0
  #keys = ''
  #port = 0
  /** Sequence numbers that were said to be durable, by file and block. */
  readonly #durable = new Map<string, readonly number[]>()
  readonly #blows = new Map<string, number>()
  readonly #done = new Map<string, number>()
  #mostHolds = 0

  constructor(scene: Scene, options: CrowdOptions) {
    this.#scene = scene
    this.#options = options
    this.#prng = new Prng(options.seed)
  }

  /** From the first client to a volume that nobody uses, and that is as they were told. */
  async run(): Promise<string> {
    const { seconds, programs, pace } = this.#options
    this.#keys = this.#scene.makeKeys()
    this.#port = await this.#scene.serve(this.#keys)
    await Promise.all(Array.from({ length: programs }, (_, i) => this.#join(i === 0)))
    const end = Date.now() + seconds * 1000
    for (let round = 0; Date.now() < end; round++) {
      const blows = 3 + this.#prng.below(6)
      for (let i = 0; i < blows && Date.now() < end; i++) {
        await new Promise((resolve) => setTimeout(resolve, this.#prng.below(2 * pace)))
        await this.#blow()
      }
      await this.#compare()
      this.#options.say?.(`round ${round}: ${this.#told()}`)
    }
    await this.#leave()
    return this.#told()
  }

  #told(): string {
    const list = (of: Map<string, number>) =>
      [...of]
        .sort()
        .map(([name, count]) => `${name} ${count}`)
        .join(', ')
    return `${list(this.#blows)}; at most ${this.#mostHolds} holds; ${list(this.#done)}`
  }

  // ---- members ---------------------------------------------------------------------------------

  async #join(remote: boolean): Promise<void> {
    const { clients, seconds, seed } = this.#options
    const { programs, socket } = this.#scene
    const options = { seconds: seconds + 120 }
    const actor = await Actor.start(programs, import.meta.url, './client.js', options)
    const member = { actor, remote, stopped: false }
    this.#members.push(member)
    void this.#hear(actor)
    void this.#forget(actor)
    const numbers = Array.from({ length: clients }, () => ++this.#numbers)
    const far = { where: `hf://127.0.0.1:${this.#port}`, key: `${this.#keys}#root` }
    await actor.call('begin', { ...(remote ? far : { where: socket }), seed, numbers })
  }

  async #hear(actor: Actor): Promise<void> {
    for (;;) {
      const { name, sequences } = await actor.event<Durable>('durable').catch(() => ended)
      if (name === '') return
      this.#durable.set(name, sequences)
    }
  }

  async #forget(actor: Actor): Promise<void> {
    for (;;) {
      const name = await actor.event<string>('forgotten').catch(() => '')
      if (name === '') return
      this.#durable.delete(name)
    }
  }

  // ---- blows -----------------------------------------------------------------------------------

  async #blow(): Promise<void> {
    const member = this.#prng.pick(this.#members)
    const blows: [number, string, () => unknown][] = [
      [4, 'client killed', () => this.#kill(member)],
      [4, 'client stopped', () => this.#stop(member)],
      [4, 'client goes on', () => this.#continue(member)],
      [3, 'client disconnected', () => member.stopped || member.actor.call('disconnect')],
      [3, 'server killed', () => this.#restart(1)],
      [1, 'server killed twice', () => this.#restart(2)],
      [2, 'server stopped', () => this.#pauseServer()],
      [2, 'server busy', () => this.#scene.daemon.call('busy', { milliseconds: 100 })],
      [2, 'session evicted', () => this.#evict()],
    ]
    let at = this.#prng.below(blows.reduce((sum, [weight]) => sum + weight, 0))
    for (const [weight, name, run] of blows) {
      if ((at -= weight) >= 0) continue
      this.#blows.set(name, (this.#blows.get(name) ?? 0) + 1)
      this.#options.say?.(name)
      await run()
      return
    }
  }

  async #kill(member: Member): Promise<void> {
    this.#members.splice(this.#members.indexOf(member), 1)
    await member.actor.kill()
    await this.#join(member.remote)
  }

  async #stop(member: Member): Promise<void> {
    if (member.stopped) return
    member.stopped = true
    await member.actor.stop()
  }

  #continue(member: Member): void {
    member.stopped = false
    member.actor.continue()
  }

  async #restart(times: number): Promise<void> {
    for (let i = 0; i < times; i++) {
      await this.#scene.kill()
      if (this.#prng.chance(1, 3)) this.#scene.check()
      await this.#scene.serve(this.#keys, this.#port)
      if (this.#prng.chance(1, 2)) {
        await new Promise((resolve) => setTimeout(resolve, this.#prng.below(150)))
      }
    }
  }

  async #pauseServer(): Promise<void> {
    const { daemon } = this.#scene
    await daemon.stop()
    await new Promise((resolve) => setTimeout(resolve, this.#prng.below(300)))
    daemon.continue()
  }

  async #evict(): Promise<void> {
    const { sessions } = await this.#scene.report()
    if (sessions.length === 0) return
    // Resolves when its mappings are gone: a program that is stopped keeps them.
    void this.#scene.daemon.call('evict', { id: this.#prng.pick(sessions).id }).catch(() => {})
  }

  // ---- what must be so -------------------------------------------------------------------------

  /** Everybody stands still, and says the same. */
  async #compare(): Promise<void> {
    for (const member of this.#members) if (member.stopped) this.#continue(member)
    await this.#scene.reported(({ grace }) => !grace, 'the end of grace')
    await this.#all('pause')
    await this.#compareHolds()
    await this.#compareRoom()
    await this.#all('look')
    await this.#all('go')
  }

  /** The server and everybody know of the same holds, once what was asked for is given back. */
  async #compareHolds(): Promise<void> {
    const text = (session: number, holds: readonly { kind: string; ino: number }[]) =>
      holds.map(({ kind, ino }) => `session ${session}: ${kind} of ${ino}`).sort()
    let [known, told]: [string[], string[]] = [[], []]
    const same = async () => {
      const asked = this.#members.map(({ actor }) => actor.call<Held[]>('held'))
      const mine = (await Promise.all(asked)).flat()
      const ids = new Set(mine.map(({ session }) => session))
      const report = await this.#scene.reported(
        ({ sessions }) => sessions.every(({ id }) => ids.has(id)),
        `that sessions other than ${[...ids].join()} are gone`,
      )
      this.#mostHolds = Math.max(this.#mostHolds, report.holds.length)
      told = mine.flatMap(({ session, holds }) => text(session, holds))
      known = mine.flatMap(({ session }) =>
        text(
          session,
          report.holds.filter(({ owner }) => owner.session === session),
        ),
      )
      return isDeepStrictEqual(known, told)
    }
    // A lease that is asked for may be given back between the two questions.
    await until(same, 'the same holds').catch((error: unknown) => {
      assert.deepEqual(known, told)
      throw error
    })
  }

  /** Everybody is told of the same room, once what was let go is free. */
  async #compareRoom(): Promise<void> {
    let [theirs, ours]: [StatFs[], StatFs[]] = [[], []]
    const same = async () => {
      const told = this.#members.map(({ actor }) => actor.call<StatFs[]>('statfs'))
      theirs = (await Promise.all(told)).flat()
      const { statfs } = await this.#scene.report()
      ours = theirs.map(() => statfs)
      return isDeepStrictEqual(theirs, ours)
    }
    await until(same, 'what the server has free').catch((error: unknown) => {
      assert.deepEqual(theirs, ours)
      throw error
    })
  }

  async #all(call: string): Promise<void> {
    const all = await Promise.all(this.#members.map(({ actor }) => actor.call<Said | null>(call)))
    for (const said of all) {
      if (said === null) continue
      assert.equal(said.faults.slice(0, 3).join('\n'), '', `at ${call}`)
      if (call !== 'leave') continue
      for (const [name, n] of Object.entries(said.done)) {
        this.#done.set(name, (this.#done.get(name) ?? 0) + n)
      }
    }
  }

  /** All go, and nothing is left of them but their files. */
  async #leave(): Promise<void> {
    for (const member of this.#members) if (member.stopped) this.#continue(member)
    await this.#scene.reported(({ grace }) => !grace, 'the end of grace')
    await this.#all('leave')
    await Promise.all(this.#members.map(({ actor }) => actor.finish()))
    await this.#scene.quiet()
    await this.#scene.end()
    const volume = openVolume(this.#scene.region)
    try {
      this.#checkFiles(volume)
    } finally {
      volume.close()
    }
    this.#scene.check()
  }

  #checkFiles(volume: LayoutVolume): void {
    const there = new Set<string>()
    for (const entry of volume.readdir('/')) {
      const name = Buffer.from(entry.name).toString()
      there.add(name)
      const words = wordsOf(Uint8Array.from(volume.readFile(`/${name}`)))
      assert.equal(wrong(words, named(name)!.family, 0), null)
      for (const [block, least] of (this.#durable.get(name) ?? []).entries()) {
        if (least === 0) continue
        const found =
          (block + 1) * BLOCK_BYTES <= words.byteLength ? sequenceOf(words, block) : null
        assert.ok(found !== null && found >= least, `${name}, block ${block}: ${found} < ${least}`)
      }
    }
    for (const name of this.#durable.keys()) assert.ok(there.has(name), `${name} is there`)
    for (const name of there) volume.unlink(`/${name}`)
    assert.equal(volume.core.limbo.blocks, 0)
  }
}

const ended: Durable = { name: '', sequences: [] }

interface Held {
  readonly session: number
  readonly holds: readonly { readonly kind: string; readonly ino: number }[]
}
