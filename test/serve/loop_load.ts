/**
 * What clients ask of a server that is long: each a name, and how it is done. The same for the
 * test, which does a little of each, and the bench, which does much.
 */
import type { Client } from '../../src/client/index.js'
import type { LocalFile } from '../../src/client/local_file.js'
import { parallel } from './parallel.js'

export interface LoadSize {
  /** Extents of a file that is in pieces. */
  readonly extents: number
  /** Bytes of a large file. */
  readonly bytes: number
  /** Names in a directory. */
  readonly names: number
}

export interface Work {
  readonly name: string
  /** What it needs to be there, which is not measured. */
  prepare?(): Promise<unknown>
  run(): Promise<unknown>
}

const BLOCK = 4096
const MiB = 1 << 20

/** In a directory of its own. */
export function longWorks(
  client: Client,
  folder: string,
  { extents, bytes, names }: LoadSize,
): Work[] {
  const open = async (path: string) =>
    (await client.open(path, 'a+'))
      .close()
      .then(() => client.open(path, 'r+')) as Promise<LocalFile>
  /** Every other block of a file. */
  const pieces = async (path: string) => {
    const file = await open(path)
    await parallel(extents, 64, (i) => file.write(Buffer.alloc(BLOCK, i), 2 * i * BLOCK))
    return file
  }
  let file: LocalFile
  let other: LocalFile
  let held: { release(): Promise<void>; commit(): Promise<void> }
  return [
    ...worksOnNames(client, folder, names),
    { name: 'make a file', run: async () => (file = await open(`${folder}/large`)) },
    { name: 'allocate', run: () => file.allocate(0, bytes) },
    { name: 'zero a range', run: () => file.zeroRange(0, bytes) },
    { name: 'pin', run: async () => (held = await file.pin({})) },
    { name: 'commit through a pin', run: () => held.commit() },
    { name: 'fsync', prepare: () => held.release(), run: () => file.sync() },
    {
      name: 'pin a hole',
      prepare: async () => (other = await open(`${folder}/hole`)).truncate(bytes),
      run: async () => (held = await other.pin({})),
    },
    { name: 'release', run: () => held.release() },
    { name: 'copy', run: () => copy(file, other, 1, bytes - MiB) },
    { name: 'reflink', run: () => client.reflink(`${folder}/large`, `${folder}/clone`) },
    { name: 'truncate a clone', run: () => client.truncate(`${folder}/clone`, 0) },
    {
      name: 'unlink',
      prepare: () => Promise.all([file.close(), other.close(), client.unlink(`${folder}/hole`)]),
      run: () => client.unlink(`${folder}/large`),
    },
    { name: 'write pieces', run: async () => (file = await pieces(`${folder}/pieces`)) },
    { name: 'extents of pieces', run: () => client.extents(`${folder}/pieces`) },
    { name: 'lease of pieces', run: async () => (held = await file.lease({ iomode: 'read' })) },
    { name: 'release pieces', run: () => held.release() },
    {
      name: 'pin pieces and holes',
      run: async () => (held = await file.pin({ offset: 0, length: extents * BLOCK })),
    },
    { name: 'release them', run: () => held.release() },
    ...worksOnClones(client, folder),
    { name: 'collapse pieces', run: () => file.collapse(0, BLOCK) },
    { name: 'insert into pieces', run: () => file.insert(0, BLOCK) },
    { name: 'punch pieces', run: () => file.punch(extents * BLOCK, (extents / 2) * BLOCK) },
    { name: 'truncate pieces', run: () => file.truncate(0) },
    {
      name: 'unlink pieces',
      prepare: async () => (await file.close(), await (await pieces(`${folder}/pieces`)).close()),
      run: () => client.unlink(`${folder}/pieces`),
    },
    {
      name: 'close unlinked pieces',
      prepare: async () => (
        (file = await pieces(`${folder}/pieces`)),
        await client.unlink(`${folder}/pieces`)
      ),
      run: () => file.close(),
    },
  ]
}

function worksOnClones(client: Client, folder: string): Work[] {
  const clone = `${folder}/clone2`
  return [
    { name: 'reflink pieces', run: () => client.reflink(`${folder}/pieces`, clone) },
    { name: 'unlink the clone', run: () => client.unlink(clone) },
  ]
}

function worksOnNames(client: Client, folder: string, names: number): Work[] {
  const create = async (i: number) => (await client.open(`${folder}/d/name${i}`, 'w')).close()
  return [
    {
      name: 'create names',
      prepare: () => client.mkdir(`${folder}/d`),
      run: () => parallel(names, 64, create),
    },
    { name: 'list names', run: () => client.readdir(`${folder}/d`) },
    { name: 'snapshot the directory', run: () => client.snapshot(`${folder}/d`, `${folder}/s`) },
  ]
}

async function copy(from: LocalFile, to: LocalFile, offset: number, length: number): Promise<void> {
  for (let done = 0; done < length;)
    done += await from.copyRange(offset + done, to, done, length - done)
}
