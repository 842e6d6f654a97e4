/** A region, its daemon, and what must be true when all clients have gone. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { Checker } from '../../src/check/checker.js'
import { formatReport } from '../../src/check/report.js'
import { connect, type Client } from '../../src/client/index.js'
import { formatSecret } from '../../src/control/keys.js'
import { createVolume } from '../../src/layout/embedded.js'
import { native } from '../../src/native/native.js'
import { openRegion } from '../../src/region/file_region.js'
import { Actor } from '../processes/actor.js'
import { until, type Programs } from '../processes/program.js'
import type { Report } from './report.js'

const checker = new Checker((bytes, start, length, crc) =>
  native.crc32cOf(bytes, start, length, crc),
)

export interface SceneOptions {
  readonly bytes?: number
  /** Lives of its programs. */
  readonly seconds?: number
}

export class Scene {
  readonly programs: Programs
  readonly region: string
  readonly socket: string
  readonly #seconds: number
  #daemon: Actor | null = null
  /** Things that a server must not say. */
  readonly wrong: unknown[] = []

  private constructor(programs: Programs, directory: string, options: SceneOptions) {
    this.programs = programs
    this.region = join(directory, 'region')
    this.socket = join(directory, 'socket')
    this.#seconds = options.seconds ?? 60
  }

  static make(programs: Programs, t: TestContext, options: SceneOptions = {}): Scene {
    const directory = mkdtempSync(join('/dev/shm', 'hf-clients-'))
    t.after(() => rmSync(directory, { recursive: true }))
    const scene = new Scene(programs, directory, options)
    createVolume(scene.region, options.bytes ?? 16 << 20)
    return scene
  }

  /** The daemon begins to serve; with keys, remote clients, too: at the port that this returns. */
  async serve(keys?: string, port = 0): Promise<number> {
    const seconds = this.#seconds
    const daemon = await Actor.start(this.programs, import.meta.url, './daemon.js', { seconds })
    this.#daemon = daemon
    daemon.event('wrong').then(
      (line) => this.wrong.push(line),
      () => {},
    )
    const { region, socket } = this
    return (await daemon.call<{ port: number }>('start', { region, socket, keys, port })).port
  }

  /** A file of keys with one of root's. */
  makeKeys(): string {
    const path = `${this.region}.keys`
    const secret = new Uint8Array(32).map((_, i) => 3 * i + 1)
    const line = `${formatSecret({ id: 'root', secret })} uid=0 gid=0 rw\n`
    writeFileSync(path, line, { mode: 0o600 })
    return path
  }

  get daemon(): Actor {
    return this.#daemon!
  }

  async kill(): Promise<void> {
    await this.daemon.kill()
  }

  client(name = 'the test'): Promise<Client> {
    return connect(this.socket, { name })
  }

  report(): Promise<Report> {
    return this.daemon.call<Report>('report')
  }

  /** Waits until the server says so. */
  async reported(holds: (report: Report) => boolean, what: string): Promise<Report> {
    let last!: Report
    try {
      await until(async () => holds((last = await this.report())), what)
    } catch (error) {
      throw new Error(`${(error as Error).message}\n${JSON.stringify(last, null, 1)}`)
    }
    return last
  }

  /** Nobody is there, and nothing is left of anybody. */
  async quiet(): Promise<Report> {
    const empty = ({ sessions, holds, limbo, grace, open }: Report) =>
      sessions.length === 0 && holds.length === 0 && limbo === 0 && !grace && open === 0
    return this.reported(empty, 'a server without sessions, holds, limbo and open files')
  }

  /** The daemon ends in order, and the volume is sound. */
  async end(): Promise<void> {
    assert.equal(await this.daemon.call('stop'), true, 'the server stops in order')
    await this.daemon.finish()
    assert.deepEqual(this.wrong, [])
    this.check()
  }

  /** fsck, while nobody has the region. */
  check(): void {
    const region = openRegion(this.region, { readOnly: true, shared: true })
    try {
      const report = checker.check(region)
      assert.equal(report.state, 'clean', formatReport(report))
    } finally {
      region.close()
    }
  }
}
