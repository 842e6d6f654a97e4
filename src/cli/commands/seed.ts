/** holdfast seed: a file with content made from a seed. */
import type { Command } from 'commander'
import { parseSeed, parseSize, parseTarget, type Target } from '../arguments.js'
import { PIECE_BYTES, seedPiece } from '../content.js'
import { breathe } from '../interrupt.js'
import { examples } from '../options.js'
import { formatProgress, ProgressLine } from '../output.js'
import { placeOf, type Writer } from '../places.js'
import { withSession } from '../session.js'

export function seedCommand(program: Command): Command {
  return program
    .command('seed')
    .summary('write a file with content made from a seed')
    .description(
      'Writes SIZE bytes made from SEED to FILE, a megabyte at a time; `verify` knows them again.',
    )
    .argument('<file>', 'VOLUME:PATH, or a path of the host', parseTarget)
    .argument('<size>', 'bytes, as 4K, 2M, 1G', parseSize)
    .argument('<seed>', 'a number from 0 to 4294967295', parseSeed)
    .addHelpText(...examples('holdfast seed /dev/shm/v.hf:/big 1G 42'))
    .action(seedFile)
}

async function seedFile(target: Target, size: number, seed: number): Promise<void> {
  await withSession(async (session) => {
    const place = await placeOf(session, target, 'write')
    const writer = await place.openWriter(target.path, 0o644)
    let whole = false
    try {
      await write(writer, size, seed)
      whole = true
    } finally {
      await writer.close()
      if (!whole && (await place.look(target.path, false))?.type === 'file') {
        await place.remove(target.path)
      }
    }
  })
}

async function write(writer: Writer, size: number, seed: number): Promise<void> {
  const progress = new ProgressLine()
  const piece = new Uint8Array(PIECE_BYTES)
  try {
    for (let done = 0; done < size; done += PIECE_BYTES) {
      await breathe()
      progress.show((seconds) => formatProgress(done, size, seconds))
      seedPiece(seed, done / PIECE_BYTES, piece)
      await writer.write(piece.subarray(0, Math.min(PIECE_BYTES, size - done)), null)
    }
  } finally {
    progress.clear()
  }
}
