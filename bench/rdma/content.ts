/** The file on tmpfs that every process of a run takes the objects' content from. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { Prng } from '../../src/base/prng.js'
import { AREA_BYTES } from './work.js'

export interface Place {
  readonly directory: string
  readonly content: string
}

/** A directory for a run, with the content; it goes when the run is over. */
export async function inPlace(run: (place: Place) => Promise<void>): Promise<void> {
  const directory = mkdtempSync('/dev/shm/holdfast-rdma-')
  // A server that was killed a moment ago may have put one more file there.
  const remove = () => rmSync(directory, { recursive: true, force: true, maxRetries: 5 })
  process.once('exit', remove)
  try {
    const content = `${directory}/content`
    const bytes = new Uint8Array(AREA_BYTES)
    new Prng(5).fill(bytes)
    writeFileSync(content, bytes)
    await run({ directory, content })
  } finally {
    remove()
    process.off('exit', remove)
  }
}
