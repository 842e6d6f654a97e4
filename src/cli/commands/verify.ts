/** holdfast verify: whether a file still is what `seed` wrote. */
import type { Command } from 'commander'
import { HoldfastError } from '../../base/errors.js'
import { parseSeed, parseSize, parseTarget, type Target } from '../arguments.js'
import { PIECE_BYTES, seedPiece } from '../content.js'
import { CommandError } from '../failure.js'
import { breathe } from '../interrupt.js'
import { examples } from '../options.js'
import { formatProgress, print, ProgressLine } from '../output.js'
import { placeOf, type Reader } from '../places.js'
import { withSession } from '../session.js'

export function verifyCommand(program: Command): Command {
  return program
    .command('verify')
    .summary('compare a file with the content made from a seed')
    .description(
      'Compares FILE with the content made from SEED, to its end; tells the first difference. A file ' +
        'that was cut short is found with --size.',
    )
    .argument('<file>', 'VOLUME:PATH, or a path of the host', parseTarget)
    .argument('<seed>', 'the seed that it was written with', parseSeed)
    .option('--size <bytes>', 'how many bytes it must have', parseSize)
    .addHelpText(...examples('holdfast verify /dev/shm/v.hf:/big 42 --size 1G'))
    .action(verifyFile)
}

async function verifyFile(
  target: Target,
  seed: number,
  options: { readonly size?: number },
): Promise<void> {
  await withSession(async (session) => {
    const place = await placeOf(session, target, 'read')
    const name = place.name(target.path)
    const entry = await place.look(target.path, true)
    if (entry === null) throw new HoldfastError('ENOENT', undefined, { path: name })
    const reader = await place.openReader(target.path)
    try {
      const size = await compare(reader, entry.size, seed, name)
      if (options.size !== undefined && size !== options.size) {
        throw new CommandError(`'${name}' has ${size} bytes, expected ${options.size}`)
      }
      await print(`${name}: ${size} bytes as seed ${seed} makes them\n`)
    } finally {
      await reader.close()
    }
  })
}

/** Returns the bytes that there were; throws at the first that differs. */
async function compare(reader: Reader, size: number, seed: number, name: string): Promise<number> {
  const progress = new ProgressLine()
  const expected = new Uint8Array(PIECE_BYTES)
  const found = new Uint8Array(PIECE_BYTES)
  try {
    for (let done = 0; ;) {
      await breathe()
      progress.show((seconds) => formatProgress(done, size, seconds))
      const n = await fill(reader, found)
      seedPiece(seed, done / PIECE_BYTES, expected)
      if (Buffer.compare(found.subarray(0, n), expected.subarray(0, n)) !== 0) {
        const at = found.findIndex((byte, i) => byte !== expected[i])
        throw new CommandError(
          `'${name}' differs at offset ${done + at}: expected ${hex(expected[at]!)}, found ${hex(found[at]!)}`,
        )
      }
      done += n
      if (n < PIECE_BYTES) return done
    }
  } finally {
    progress.clear()
  }
}

/** Reads until the piece is full or the file ends. */
async function fill(reader: Reader, piece: Uint8Array): Promise<number> {
  for (let n = 0; ;) {
    const more = n === piece.length ? 0 : await reader.read(piece.subarray(n), null)
    if (more === 0) return n
    n += more
  }
}

function hex(byte: number): string {
  return `0x${byte.toString(16).padStart(2, '0')}`
}
