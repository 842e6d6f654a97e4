/** What a client changes under a mapping of its own. */
import assert from 'node:assert/strict'
import { BLOCK_BYTES as B } from '../../src/base/limits.js'
import type { LocalFile } from '../../src/client/local_file.js'
import { processTest } from '../processes/program.js'
import { blockBytes, wordsOf, wrong } from './content.js'
import { Scene } from './scene.js'

const BLOCKS = 16

/**
 * A lease of one's own counts as returned by what one asks for oneself. That of a mapping was, too:
 * its blocks were free, and others had them, while the mapping was in place.
 */
processTest(
  'a mapping ends before what its own client asks for frees its blocks',
  {},
  async (programs, t) => {
    const scene = Scene.make(programs, t, { bytes: 8 << 20 })
    await scene.serve()
    const client = await scene.client()
    const changes: [string, (file: LocalFile) => Promise<unknown>][] = [
      ['truncate', (file) => file.truncate(B)],
      ['punch', (file) => file.punch(4 * B, 8 * B)],
      ['collapse', (file) => file.collapse(4 * B, 4 * B)],
      ['move', () => client.defragment('/a')],
    ]
    for (const [name, change] of changes) {
      const file = (await client.open('/a', 'w+')) as LocalFile
      for (let i = 0; i < BLOCKS; i++) {
        await file.write(blockBytes(1, i, 1), i * B)
        // Not in one piece, so that there is something to move.
        const other = await client.open('/b', 'w')
        await other.write(blockBytes(2, 0, 1), i * B)
        await other.close()
      }
      let recalled = 0
      const onRecall = () => void recalled++
      const mapping = await file.map({ write: true, onRecall })
      const bytes = new Uint8Array(mapping.buffer)
      assert.equal(wrong(wordsOf(bytes), [1], 0), null)
      await change(file)
      assert.deepEqual([recalled, bytes.byteLength], [1, 0], name)
      assert.deepEqual(await client.holds(), [], name)
      await file.close()
    }
    await client.close()
    await scene.quiet()
    await scene.end()
  },
)
