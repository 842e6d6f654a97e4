/** The file on tmpfs that every process of a run takes the objects' content from. */
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { Prng } from '../../src/base/prng.js'
import { AREA_BYTES } from './work.js'

const ATTEMPTS = 1000

export interface Place {
  readonly directory: string
  readonly content: string
}

/** A directory for a run, with the content; it goes when the run is over. */
export async function inPlace(run: (place: Place) => Promise<void>): Promise<void> {
  const directory = mkdtempSync('/dev/shm/holdfast-rdma-')
  const remove = () => {
    // A server that was killed a moment ago may put one more file there meanwhile.
    for (let left = ATTEMPTS; existsSync(directory); left--) {
      try {
        rmSync(directory, { recursive: true, force: true })
      } catch (error) {
        if (left === 0 || (error as NodeJS.ErrnoException).code !== 'ENOTEMPTY') throw error
      }
    }
  }
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
