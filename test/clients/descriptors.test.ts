/** Descriptors of a region that a client was passed, by servers that die. */
import assert from 'node:assert/strict'
import { readdirSync, readlinkSync } from 'node:fs'
import { Covered } from '../../src/client/covered.js'
import type { Client } from '../../src/client/index.js'
import type { LocalFile } from '../../src/client/local_file.js'
import { processTest } from '../processes/program.js'
import { blockBytes, wordsOf, wrong } from './content.js'
import { Scene } from './scene.js'

function descriptorsOf(path: string): number {
  const links = readdirSync('/proc/self/fd').map((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`)
    } catch {
      return '' // that of the directory
    }
  })
  return links.filter((link) => link === path).length
}

processTest(
  'a client has a descriptor of the region for as long as it may need it, and no longer',
  {},
  async (programs, t) => {
    const scene = Scene.make(programs, t, { bytes: 8 << 20 })
    await scene.serve()
    const client: Client = await scene.client()
    const connected = () => new Promise<void>((resolve) => (client.onConnected = resolve))
    const file = (await client.open('/a', 'w+')) as LocalFile
    await file.write(blockBytes(1, 0, 1), 0)
    assert.equal(descriptorsOf(scene.region), 0)
    const one = await file.map({ direct: true })
    assert.equal(descriptorsOf(scene.region), 1)
    const again = connected()
    await scene.kill()
    await scene.serve()
    await again
    assert.equal((await scene.report()).holds.length, 1)
    const two = await file.map({ direct: true, write: true })
    assert.equal(descriptorsOf(scene.region), 2)
    one.unmap()
    assert.equal(descriptorsOf(scene.region), 1)
    // What the next server is told is what is mapped.
    const once = connected()
    await scene.kill()
    await scene.serve()
    await once
    assert.equal(wrong(wordsOf(new Uint8Array(two.buffer)), [1], 0), null)
    await scene.reported(({ grace }) => !grace, 'the end of grace')
    two.unmap()
    assert.equal(descriptorsOf(scene.region), 0)
    await file.close()
    await client.close()
    await scene.quiet()
    await scene.end()
  },
)

processTest(
  'what is mapped with a descriptor is waited for when a part of it was not taken again',
  {},
  async (programs, t) => {
    const scene = Scene.make(programs, t, { bytes: 8 << 20 })
    await scene.serve()
    const client: Client = await scene.client()
    const connected = new Promise<void>((resolve) => (client.onConnected = resolve))
    const [a, b] = await Promise.all(
      ['/a', '/b'].map(async (path) => {
        const file = (await client.open(path, 'w+')) as LocalFile
        await file.write(blockBytes(1, 0, 1), 0)
        return file.map({ direct: true })
      }),
    )
    const [lost, kept] = client.own
    await scene.kill()
    // As though its block had been moved: a child of this process could store to where it was.
    const extents = lost!.extents.map((extent) => ({ ...extent, fileBlock: 9 }))
    const value = Covered.of({ offset: 9 * 4096, length: 4096 }, extents)
    Object.defineProperty(lost!, 'covered', { value })
    await scene.serve()
    await connected
    assert.deepEqual([lost!.end, kept!.end], ['gone', null])
    assert.equal((await scene.report()).grace, true)
    await assert.rejects(client.truncate('/a', 0, undefined, { timeout: 200 }), { code: 'EBUSY' })
    for (const mapping of [a, b]) mapping!.unmap()
    await scene.reported(({ grace }) => !grace, 'the end of grace')
    await client.truncate('/a', 0)
    await client.close()
    await scene.quiet()
    await scene.end()
  },
)
