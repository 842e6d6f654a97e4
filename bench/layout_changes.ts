/**
 * What do changes of a layout cost, beside XFS: reflink, copy-on-write, punch, defragment?
 *
 * Ours: sync=always, so that each call is durable when it returns. XFS (layout_xfs.ts): the same
 * calls on files of the same sizes in the same order, once made durable each, and once not.
 * Floor: of a reflink, another change of one inode; of a copy-on-write, an append of a block; of a
 * defragmentation, a copy of the bytes.
 */
import { rmSync, statfsSync } from 'node:fs'
import type { LayoutFile } from '../src/layout/file.js'
import { LayoutVolume } from '../src/layout/volume.js'
import { createRegion } from '../src/region/file_region.js'
import { formatVolume } from '../src/volume/format.js'
import { populated } from './layout_holds.js'
import { runner, type OnVolume, type Other, type Question, type Runner } from './layout_rounds.js'
import { Xfs, xfsMissing } from './layout_xfs.js'
import type { Side } from './pairs.js'

const MIB = 1024 * 1024
const GIB = 1024 * MIB
const BLOCK = 4096
const REFLINKS = 64
const WRITES = 256
/** What is written to, punched. */
const SOURCE = 16 * MIB
const FRAGMENTED = 16 * MIB
const PIECE = 32 * 1024
/** Free memory that the largest file asks for. */
const ROOM = 8 * GIB

interface Setting extends OnVolume {
  readonly volume: LayoutVolume
  readonly xfs: Xfs | null
}

const block = new Uint8Array(BLOCK).fill(0x5a)

/** Both peers of XFS for the same work, if there is XFS. */
function beside({ xfs }: Setting, name: string, work: Record<string, unknown>): Other[] {
  if (xfs === null) return []
  const of = (durable: boolean) =>
    xfs.runner(`XFS ${name}${durable ? ' + sync' : ''}`, { ...work, durable } as never)
  return [{ runner: of(true) }, { runner: of(false) }]
}

// ---- reflink -----------------------------------------------------------------------------------

function reflinking(on: Setting, source: LayoutFile, name: string): Runner {
  const { volume } = on
  let targets: LayoutFile[] = []
  const side: Side = {
    name,
    prepare: () => {
      targets = Array.from({ length: REFLINKS }, (_, i) => volume.open(`/to${i}`, 'wx+'))
    },
    run: (n) => {
      for (let i = 0; i < n; i++) source.reflinkRange(0, targets[i]!, 0, 0)
    },
    cleanUp: () => {
      for (const [i, target] of targets.entries()) {
        target.close()
        volume.unlink(`/to${i}`)
      }
    },
  }
  return runner(side, REFLINKS, on)
}

function oneChange(on: Setting): Runner {
  const file = on.volume.open('/changed', 'wx+')
  const side: Side = {
    name: 'chmod',
    run: (n) => {
      for (let i = 0; i < n; i++) file.chmod(0o600 + (i % 8))
    },
  }
  return runner(side, REFLINKS)
}

async function reflinks(on: Setting, large: boolean): Promise<Question[]> {
  const { volume, xfs } = on
  const floor = oneChange(on)
  const gibibyte = populated(volume, '/gib1', GIB)
  const asked = 'reflink of one extent'
  const main: Question = {
    question: `${asked}, 1 GiB`,
    ours: reflinking(on, gibibyte, '1 GiB'),
    most: 20_000,
    others: [
      { runner: floor },
      ...beside(on, 'FICLONE', { do: 'reflink', path: 'gib1', count: REFLINKS }),
    ],
  }
  await xfs?.do({ do: 'make', path: 'gib1', size: GIB })
  await xfs?.do({ do: 'make', path: 'mib64', size: 64 * MIB })
  const small = populated(volume, '/mib64', 64 * MIB)
  const sizes: Question[] = [
    {
      question: `${asked}, 64 MiB`,
      ours: reflinking(on, small, '64 MiB'),
      others: [
        { runner: main.ours, most: 1.2 },
        ...beside(on, 'FICLONE', { do: 'reflink', path: 'mib64', count: REFLINKS }),
      ],
    },
  ]
  if (large) {
    const four = populated(volume, '/gib4', 4 * GIB)
    sizes.push({
      question: `${asked}, 4 GiB`,
      ours: reflinking(on, four, '4 GiB'),
      most: 20_000,
      others: [{ runner: main.ours, most: 1.2 }],
    })
  }
  return [main, ...sizes]
}

// ---- writes ------------------------------------------------------------------------------------

function writing(on: Setting, blocks: readonly number[], source: LayoutFile | null): Runner {
  const { volume } = on
  let file: LayoutFile
  const side: Side = {
    name: source === null ? 'append' : 'copy-on-write',
    prepare: () => {
      file = volume.open('/written', 'wx+')
      if (source !== null) source.reflinkRange(0, file, 0, 0)
    },
    run: (n) => {
      for (let i = 0; i < n; i++) file.write(block, blocks[i]! * BLOCK)
    },
    cleanUp: () => {
      file.close()
      volume.unlink('/written')
    },
  }
  return runner(side, WRITES, on)
}

const inOrder = Array.from({ length: WRITES }, (_, i) => i)
/** No two of them side by side. */
const scattered = inOrder.map((i) => ((i * 7919) % (SOURCE / BLOCK / 2)) * 2)

function writes(on: Setting, source: LayoutFile): Question[] {
  const append = writing(on, inOrder, null)
  const work = { do: 'write', shared: true }
  return [
    {
      question: 'copy-on-write of 4 KiB, in order',
      ours: writing(on, inOrder, source),
      others: [
        { runner: append, most: 3 },
        ...beside(on, 'pwrite of shared', { ...work, blocks: inOrder }),
      ],
    },
    {
      question: 'copy-on-write of 4 KiB, scattered',
      ours: writing(on, scattered, source),
      others: [
        { runner: append, most: 3 },
        ...beside(on, 'pwrite of shared', { ...work, blocks: scattered }),
      ],
    },
    {
      question: 'append 4 KiB',
      ours: append,
      others: beside(on, 'pwrite', { do: 'write', shared: false, blocks: inOrder }),
    },
  ]
}

function punching(on: Setting): Question {
  const { volume } = on
  let file: LayoutFile
  const side: Side = {
    name: 'punch',
    prepare: () => (file = populated(volume, '/punched', SOURCE)),
    run: (n) => {
      for (let i = 0; i < n; i++) file.punch(scattered[i]! * BLOCK, BLOCK)
    },
    cleanUp: () => {
      file.close()
      volume.unlink('/punched')
    },
  }
  return {
    question: 'punch 4 KiB, scattered',
    ours: runner(side, WRITES, on),
    others: [
      { runner: oneChangeOf(on, 'punch') },
      ...beside(on, 'fallocate punch', { do: 'punch', size: SOURCE, blocks: scattered }),
    ],
  }
}

/** The floor of another change: a file of its own, since two floors may be asked in one run. */
function oneChangeOf(on: Setting, name: string): Runner {
  const file = on.volume.open(`/changed-${name}`, 'wx+')
  const side: Side = {
    name: 'chmod',
    run: (n) => {
      for (let i = 0; i < n; i++) file.chmod(0o600 + (i % 8))
    },
  }
  return runner(side, WRITES)
}

// ---- defragmentation ---------------------------------------------------------------------------

/** Blocks come in this order, in turns with those of another file: both files are in pieces. */
const pieces = Array.from({ length: FRAGMENTED / PIECE }, (_, i, n = FRAGMENTED / PIECE) => {
  return (i * 7919) % n
})

function defragmenting(on: Setting): Runner {
  const { volume } = on
  const side: Side = {
    name: 'defragment',
    prepare: () => {
      const files = ['/left', '/right'].map((path) => volume.open(path, 'wx+'))
      for (const piece of pieces) for (const file of files) file.allocate(piece * PIECE, PIECE)
      const content = new Uint8Array(MIB).fill(0x5a)
      for (const file of files) {
        for (let at = 0; at < FRAGMENTED; at += MIB) file.write(content, at)
        file.close()
      }
      const { extents } = volume.extents('/left')
      if (extents.length < FRAGMENTED / PIECE / 4) throw new Error(`${extents.length} extents`)
    },
    run: () => {
      for (const _ of volume.defragment('/left')) void _
    },
    cleanUp: () => {
      const { extents } = volume.extents('/left')
      if (extents.length > 2) throw new Error(`${extents.length} extents are left`)
      volume.unlink('/left')
      volume.unlink('/right')
    },
  }
  return runner(side, 1, on)
}

function copying(on: Setting): Runner {
  const plain = createRegion(`${on.region.path}.plain`, 2 * FRAGMENTED)
  rmSync(plain.path)
  const side: Side = {
    name: 'copy of its bytes',
    run: () => plain.streamWithin(FRAGMENTED, 0, FRAGMENTED),
  }
  return runner(side, 1)
}

function defragments(on: Setting): Question {
  const { xfs } = on
  const work = { do: 'defragment', size: FRAGMENTED, piece: PIECE, pieces }
  return {
    question: 'defragment 16 MiB in pieces of 32 KiB',
    ours: defragmenting(on),
    others: [
      { runner: copying(on) },
      ...(xfs === null
        ? []
        : [
            { runner: xfs.runner('xfs_fsr', { ...work, again: false }) },
            { runner: xfs.runner('xfs_fsr of a file in one piece', { ...work, again: true }) },
          ]),
    ],
  }
}

// ---- all of them -------------------------------------------------------------------------------

export interface ChangeQuestions {
  readonly questions: Question[]
  readonly skipped: string[]
  readonly end: () => Promise<void>
}

export async function changeQuestions(directory: string): Promise<ChangeQuestions> {
  const { bavail, bsize } = statfsSync(directory)
  const large = bavail * bsize > ROOM
  const region = createRegion(`${directory}/changes`, (large ? 6 : 2) * GIB)
  formatVolume(region)
  const volume = LayoutVolume.mount(region, { sync: 'always' })
  const missing = xfsMissing()
  const xfs = missing === null ? await Xfs.start(directory, 4 * GIB) : null
  await xfs?.do({ do: 'make', path: 'source', size: SOURCE })
  const on: Setting = { volume, region, xfs }
  const source = populated(volume, '/source', SOURCE)
  const questions = [
    ...(await reflinks(on, large)),
    ...writes(on, source),
    punching(on),
    defragments(on),
  ]
  const skipped = missing === null ? [] : [`XFS: ${missing}`]
  if (!large) skipped.push(`reflink of 4 GiB: ${directory} has not ${ROOM / GIB} GiB free`)
  return {
    questions,
    skipped,
    end: async () => {
      await xfs?.end()
      volume.close()
      region.close()
      rmSync(region.path)
    },
  }
}
