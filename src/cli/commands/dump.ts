/** holdfast dump: any structure of a volume, field by field. */
import { Argument, InvalidArgumentError, type Command } from 'commander'
import { BITMAP_MAGIC } from '../../media/bitmap.js'
import { INODE_MAP_MAGIC } from '../../media/inode_map.js'
import { JOURNAL_MAGIC } from '../../media/repair_journal.js'
import { SLAB_MAGIC } from '../../media/slab.js'
import { STATE_MAGIC } from '../../media/state.js'
import { SUPERBLOCK_MAGIC } from '../../media/superblock.js'
import { NODE_MAGIC } from '../../media/tree_node.js'
import { VALUE_MAGIC } from '../../media/value.js'
import { parseRegion } from '../arguments.js'
import type { Dump, Rows } from '../dump/fields.js'
import { dumpHex, dumpInode, dumpNode, dumpSlab, dumpValue } from '../dump/file_structures.js'
import { Image } from '../dump/image.js'
import {
  dumpBitmap,
  dumpJournal,
  dumpLog,
  dumpMapPage,
  dumpRecord,
  dumpState,
  dumpSuperblock,
  dumpTail,
} from '../dump/volume_structures.js'
import { examples, JSON_OPTION, parseNumber, type JsonOption } from '../options.js'
import { print, printJson, table } from '../output.js'

interface Options extends JsonOption {
  readonly home?: boolean
}

/** `number`: what the number after it is; null when there is none. */
interface Kind {
  readonly number: string | null
  readonly dump: (image: Image, number: number) => Dump
}

const KINDS: Readonly<Record<string, Kind>> = {
  superblock: { number: 'copy, 0 or 1', dump: dumpSuperblock },
  state: { number: null, dump: dumpState },
  tail: { number: null, dump: dumpTail },
  log: { number: null, dump: dumpLog },
  record: { number: 'position', dump: dumpRecord },
  bitmap: { number: 'chunk', dump: dumpBitmap },
  'inode-map': { number: 'page', dump: dumpMapPage },
  inode: { number: 'inode', dump: dumpInode },
  slab: { number: 'block', dump: dumpSlab },
  node: { number: 'block', dump: dumpNode },
  value: { number: 'block', dump: dumpValue },
  journal: { number: 'block', dump: dumpJournal },
  block: { number: 'block, whatever it holds', dump: dumpByMagic },
  hex: { number: 'block', dump: dumpHex },
}

export function dumpCommand(program: Command): Command {
  return program
    .command('dump')
    .summary('show any structure of a volume, field by field')
    .description(
      'Shows one structure as docs/SPEC.md names its fields, and whether it is valid. Nothing is ' +
        'locked or changed, and damage is shown, not fled from. WHAT is superblock COPY, state, tail, ' +
        'log (the records that a mount would replay), record POSITION, bitmap CHUNK, inode-map PAGE, ' +
        'inode NUMBER, slab BLOCK (of inodes or names), node BLOCK (of a tree), value BLOCK, journal ' +
        'BLOCK (of a repair), block BLOCK (by what it says it is) or hex BLOCK. What the log holds is ' +
        'applied first, as for who opens the volume.',
    )
    .argument('<region>', 'path of the region', parseRegion)
    .addArgument(new Argument('<what>', 'structure').choices(Object.keys(KINDS)))
    .argument('[number]', 'which one, in decimal or with 0x', parseNumber)
    .option('--home', 'as it stands on the medium, without the log')
    .option(...JSON_OPTION)
    .addHelpText(
      ...examples(
        'holdfast dump v.hf superblock 0',
        'holdfast dump v.hf inode 1',
        'holdfast dump --json v.hf block 0x4a',
        'holdfast dump --home v.hf bitmap 0',
      ),
    )
    .action(show)
}

const BY_MAGIC: ReadonlyMap<number, (image: Image, block: number) => Dump> = new Map([
  [
    SUPERBLOCK_MAGIC,
    (image, block) => (block < 2 ? dumpSuperblock(image, block) : dumpHex(image, block)),
  ],
  [STATE_MAGIC, (image, block) => (block === 2 ? dumpState(image) : dumpHex(image, block))],
  [SLAB_MAGIC, dumpSlab],
  [NODE_MAGIC, dumpNode],
  [VALUE_MAGIC, dumpValue],
  [JOURNAL_MAGIC, dumpJournal],
  [
    INODE_MAP_MAGIC,
    (image, block) => dumpMapPage(image, block - image.demandHeader().inodeMapStart),
  ],
  [
    BITMAP_MAGIC,
    (image, block) => dumpBitmap(image, (block - image.demandHeader().bitmapStart) * 8),
  ],
])

function dumpByMagic(image: Image, block: number): Dump {
  const magic = image.read(block).u32[0]!
  return (BY_MAGIC.get(magic) ?? dumpHex)(image, block)
}

async function show(
  path: string,
  what: string,
  number: number | undefined,
  options: Options,
  command: Command,
): Promise<void> {
  const kind = KINDS[what]
  if (kind === undefined) throw new InvalidArgumentError(`${what} is no structure`)
  if ((number === undefined) !== (kind.number === null)) {
    const wanted = kind.number === null ? 'no number' : `a number: ${kind.number}`
    return command.error(`error: ${what} takes ${wanted}`)
  }
  const image = new Image(path, options.home === true)
  try {
    const dump = kind.dump(image, number ?? 0)
    if (options.json === true) await printJson(asJson(dump, image.remarks))
    else await print(asText(dump, image.remarks))
  } finally {
    image.close()
  }
}

function asJson(dump: Dump, remarks: readonly string[]): unknown {
  const { what, block, offset, invalid, fields, parts } = dump
  return {
    what,
    block,
    offset,
    valid: invalid === null,
    ...(invalid === null ? {} : { invalid }),
    fields: Object.fromEntries(fields.map(({ name, value }) => [name, value])),
    parts,
    remarks,
  }
}

function asText(dump: Dump, remarks: readonly string[]): string {
  const { what, block, offset, invalid, fields, parts } = dump
  const place = `block ${block}${offset === 0 ? '' : ` + ${offset}`}, byte 0x${(block * 4096 + offset).toString(16)}`
  const head = `${what} (${place}): ${invalid === null ? 'valid' : `NOT VALID: ${invalid}`}\n`
  const rows = fields.map(({ name, offset: at, value }) => [`  ${at}`, name, String(value)])
  const notes = remarks.map((remark) => `! ${remark}\n`).join('')
  return `${notes}${head}${table(rows, [0])}${parts.map(partText).join('')}`
}

function partText({ title, columns, rows }: Rows): string {
  if (rows.length === 0) return `${title}: none\n`
  const body = rows.map((row) => row.map((cell, i) => (i === 0 ? `  ${cell}` : String(cell))))
  const head =
    columns.length === 1 ? [] : [columns.map((name, i) => (i === 0 ? `  ${name}` : name))]
  const numbers = columns
    .map((_, i) => i)
    .filter((i) => rows.every((row) => typeof row[i] === 'number'))
  return `${title}:\n${table([...head, ...body], numbers)}`
}
