/** What others do between two calls that a mount makes for one of a program. */
import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { O } from '../../src/base/open_flags.js'
import { createVolume, openVolume } from '../../src/layout/embedded.js'
import { VolumeFileSystem } from '../../src/layout/filesystem.js'
import { noCompiler } from '../processes/compile.js'
import { processTest } from '../processes/program.js'
import { Caller } from './caller.js'
import { mountHere } from './here.js'
import { cannotMount } from './scene.js'

const skip = cannotMount() ?? noCompiler()
const BYTES = 8192
const [OLD, NEW] = [1, 2]

/** Of a server: others make a file as long as it was as soon as it is cut. */
class Rewritten extends VolumeFileSystem {
  override readonly direct = undefined

  override async truncate(...args: Parameters<VolumeFileSystem['truncate']>): Promise<void> {
    await super.truncate(...args)
    await using file = await this.open(args[0], 'r+')
    await file.write(new Uint8Array(BYTES).fill(NEW), 0)
  }
}

processTest(
  'what was cut off is not read, though others wrote as much',
  { skip },
  async (programs) => {
    const folder = mkdtempSync('/dev/shm/holdfast-races-')
    const directory = join(folder, 'mnt')
    mkdirSync(directory)
    createVolume(join(folder, 'v.hf'), 16 << 20)
    const volume = openVolume(join(folder, 'v.hf'))
    // With a key that is not privileged nobody tells of what others do.
    const told = { tells: false, tellsAlways: false, mode: 'cache' } as const
    const mount = await mountHere(directory, new Rewritten(volume), told)
    try {
      const caller = Caller.start(programs)
      await caller.open(1, join(directory, 'f'), O.RDWR | O.CREAT)
      await caller.done('fill', 1, 0, BYTES, OLD)
      assert.equal(await caller.done('check', 1, 0, BYTES, OLD), 'same')
      await caller.done('ftruncate', 1, 10)
      assert.equal(await caller.done('check', 1, 0, BYTES, NEW), 'same')
      await caller.end()
    } finally {
      await mount.leave()
      volume.close()
      rmSync(folder, { recursive: true })
    }
  },
)
