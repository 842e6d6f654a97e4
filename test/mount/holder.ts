/**
 * A volume that its server mounts: a client in this process holds files of it, and programs in the
 * mount change them. What is held is looked at where it is, in the region.
 */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { closeSync, openSync, readSync } from 'node:fs'
import type { CreateVolumeOptions } from '../../src/layout/embedded.js'
import { BLOCK_BYTES } from '../../src/base/limits.js'
import type { ByteRange } from '../../src/base/layout.js'
import type { LocalFile } from '../../src/client/index.js'
import { connect, type Client } from '../../src/client/index.js'
import { patternOf } from '../interop/pattern.js'
import { Caller } from './caller.js'
import { MountScene, type Way } from './scene.js'

export const KINDS = ['read lease', 'rw lease', 'seal', 'pin', 'fixed', 'write-sealed'] as const
export type Kind = (typeof KINDS)[number]

/** What is in the way of a program, until it is released. */
export interface Held {
  /** 0: no hold, but a flag of the file. */
  readonly id: number
  readonly recalls: () => number
  release(): Promise<void>
}

/** What strerror(3) says, in the C locale. */
const MESSAGES: Readonly<Record<string, string>> = {
  'Device or resource busy': 'EBUSY',
  'Text file busy': 'ETXTBSY',
  'Operation not permitted': 'EPERM',
  'Interrupted system call': 'EINTR',
  'No space left on device': 'ENOSPC',
  'Read-only file system': 'EROFS',
}

/** Runs a program to its end: 'done', or the errno that it complains of. */
export function run(command: string, ...args: readonly string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    execFile(command, args, { env: { ...process.env, LC_ALL: 'C' } }, (error, _, stderr) => {
      if (error === null) return resolve('done')
      const [first = ''] = stderr.split('\n')
      const message = first.split(': ').at(-1)!
      const code = MESSAGES[message]
      if (code === undefined) reject(new Error(`${command}: ${stderr}`, { cause: error }))
      else resolve(code)
    })
  })
}

export class HolderScene {
  readonly scene: MountScene
  readonly client: Client
  readonly caller: Caller
  #files = 0

  private constructor(scene: MountScene, client: Client) {
    this.scene = scene
    this.client = client
    this.caller = Caller.start(scene.programs)
  }

  static async start(
    options: CreateVolumeOptions = {},
    { way = 'within', words = '' }: { way?: Exclude<Way, 'embedded'>; words?: string } = {},
  ): Promise<HolderScene> {
    const scene = await MountScene.start(way, words, 64 << 20, options)
    try {
      return new HolderScene(scene, await connect(scene.socket, { name: 'holder', as: 'root' }))
    } catch (error) {
      await scene.remove()
      throw error
    }
  }

  async end(): Promise<void> {
    try {
      await this.caller.end()
      await this.client.close()
    } finally {
      await this.scene.end()
    }
  }

  /** The path of a file for programs. */
  at(name: string): string {
    return this.scene.path(name)
  }

  /** A file of so many blocks, with bytes of its own; its name. */
  async make(blocks: number, seed = ++this.#files): Promise<string> {
    const name = `f${++this.#files}`
    await using file = await this.client.open(`/${name}`, 'wx')
    await file.write(patternOf(seed, blocks * BLOCK_BYTES), 0)
    return name
  }

  async read(name: string): Promise<Buffer> {
    await using file = await this.client.open(`/${name}`, 'r')
    const bytes = Buffer.alloc((await file.stat()).size)
    assert.equal(await file.read(bytes, 0), bytes.length)
    return bytes
  }

  /** Region blocks of a file, by its blocks; undefined: a hole. */
  async blocks(name: string): Promise<(number | undefined)[]> {
    const all: (number | undefined)[] = []
    const { extents } = await this.client.extents(`/${name}`)
    for (const { fileBlock, regionBlock, count } of extents) {
      for (let i = 0; i < count; i++) all[fileBlock + i] = regionBlock + i
    }
    return all
  }

  /** Bytes of region blocks, past everybody. */
  regionBytes(blocks: readonly (number | undefined)[]): Buffer {
    const fd = openSync(this.scene.region, 'r')
    try {
      const all = blocks.map((block) => {
        const bytes = Buffer.alloc(BLOCK_BYTES)
        if (block !== undefined) readSync(fd, bytes, 0, BLOCK_BYTES, block * BLOCK_BYTES)
        return bytes
      })
      return Buffer.concat(all)
    } finally {
      closeSync(fd)
    }
  }

  /** Who holds nothing any more: every hold of the volume is gone. */
  async noHolds(): Promise<void> {
    assert.deepEqual(await this.client.holds(), [])
  }

  async hold(kind: Kind, name: string, range: ByteRange): Promise<Held> {
    const path = `/${name}`
    if (kind === 'fixed' || kind === 'write-sealed') {
      await this.client.fix(path)
      if (kind === 'write-sealed') await this.client.sealWrites(path)
      return { id: 0, recalls: () => 0, release: () => this.#unfix(path, kind) }
    }
    const file = (await this.client.open(path, 'r+')) as LocalFile
    let recalls = 0
    const wish = { ...range, reason: kind, onRecall: () => void recalls++ }
    if (kind === 'seal') {
      const mapping = await file.map({ ...range, direct: true, write: true, reason: kind })
      const release = async () => {
        mapping.unmap()
        await mapping.hold.over
        await file.close()
      }
      return { id: mapping.hold.id, recalls: () => 0, release }
    }
    const iomode = kind === 'read lease' ? 'read' : 'rw'
    const hold = kind === 'pin' ? await file.pin(wish) : await file.lease({ ...wish, iomode })
    const release = async () => {
      await hold.release()
      await file.close()
    }
    return { id: hold.id, recalls: () => recalls, release }
  }

  async #unfix(path: string, kind: Kind): Promise<void> {
    if (kind === 'write-sealed') await this.client.sealWrites(path, { off: true })
    await this.client.unfix(path)
  }
}
