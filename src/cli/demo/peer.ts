/**
 * A client of the demo, local or remote, in a process of its own: does what it is asked.
 *
 *     node peer.js WHERE NAME [KEY]
 */
import type { FileMapping } from '../../base/mapping.js'
import type { LocalFile } from '../../client/index.js'
import {
  connect,
  RemoteFile,
  type ClientHold,
  type FileLayout,
  type ServedFile,
} from '../../client/index.js'
import { BLOCK, differing, fillBlock, makeBlocks } from './blocks.js'
import { answer, tell, type Answers } from './talk.js'

const [where, name, key] = process.argv.slice(2) as [string, string, string?]
const client = await connect(where, { name, ...(key === undefined ? {} : { key }) })
client.onConnected = () => tell('connected', client.hello.grace)
let lost = () => {}
client.onLost = () => lost()

const files = new Map<string, ServedFile>()
const mappings = new Map<string, { mapping: FileMapping; bytes: Uint8Array }>()
const holds = new Map<string, { hold: ClientHold; layout: FileLayout | null }>()

/** Blocks of a file, and what they are made from. */
export interface Blocks {
  readonly path: string
  readonly seed: number
  readonly from?: number
  readonly count: number
  readonly version?: number
  /** By block, where they are not all the same. */
  readonly versions?: readonly number[]
}

const versionOf =
  ({ version = 0, versions }: Blocks) =>
  (block: number) =>
    versions?.[block] ?? version

const local = (path: string) => files.get(path) as LocalFile
const remote = (path: string) => files.get(path) as RemoteFile

async function create({ path, seed, count }: Blocks): Promise<void> {
  const file = await client.open(path, 'w+')
  files.set(path, file)
  const piece = 256
  for (let at = 0; at < count; at += piece) {
    const blocks = makeBlocks(seed, at, Math.min(piece, count - at))
    await file.write(blocks, at * BLOCK)
  }
  await file.sync()
}

/** Through the handle: a remote one reads one-sided, a local one through the socket. */
async function read(blocks: Blocks): Promise<string | null> {
  const { path, seed, from = 0, count } = blocks
  const piece = 256
  for (let at = from; at < from + count; at += piece) {
    const bytes = new Uint8Array(Math.min(piece, from + count - at) * BLOCK)
    const got = await files.get(path)!.read(bytes, at * BLOCK)
    if (got < bytes.length) return `${got} bytes of ${bytes.length} at block ${at}`
    const wrong = differing(bytes, seed, at, versionOf(blocks))
    if (wrong !== null) return wrong
  }
  return null
}

/** Stores to its mapping. */
function store({ path, seed, from = 0, count, version = 0 }: Blocks): void {
  const { bytes } = mappings.get(path)!
  for (let block = from; block < from + count; block++) {
    fillBlock(seed, block, version, bytes.subarray(block * BLOCK, (block + 1) * BLOCK))
  }
}

/** Loads from its mapping. */
function look(blocks: Blocks): string | null {
  const { path, seed, from = 0, count } = blocks
  const part = mappings.get(path)!.bytes.subarray(from * BLOCK, (from + count) * BLOCK)
  return differing(part, seed, from, versionOf(blocks))
}

/** One-sided, under what it holds. */
async function fetch(blocks: Blocks): Promise<string | null> {
  const { path, seed, from = 0, count } = blocks
  const bytes = await holds.get(path)!.layout!.read(from * BLOCK, count * BLOCK)
  return differing(bytes, seed, from, versionOf(blocks))
}

/** Milliseconds of looking before the processor is left to the other one. */
const SPIN_MS = 0.05
/** So long it does not take. */
const TURN_MS = 10_000
const nobody = new Int32Array(new SharedArrayBuffer(4))

/** Waits for the word to be ours, and gives it to the other one, by loads and stores alone. */
function turns({ path, parity, count }: { path: string; parity: number; count: number }): number {
  const word = new Int32Array(mappings.get(path)!.mapping.buffer, 0, 1)
  const begin = performance.now()
  for (let turn = parity; turn < count; turn += 2) {
    for (let since = performance.now(); Atomics.load(word, 0) !== turn;) {
      if (performance.now() - since < SPIN_MS) continue
      Atomics.wait(nobody, 0, 0, SPIN_MS)
      if (performance.now() - since > TURN_MS) return -1
    }
    Atomics.store(word, 0, turn + 1)
  }
  return performance.now() - begin
}

interface Writing {
  readonly versions: number[]
  written: number
  stop: boolean
  readonly done: Promise<void>
}

let writing: Writing | null = null
const BLOCKS_A_SLICE = 32

/** Writes blocks through its mapping, round after round, until it is told to stop. */
function beginWriting({ path, seed, count }: Blocks): void {
  const state = { versions: new Array<number>(count).fill(0), written: 0, stop: false }
  const run = async () => {
    while (!state.stop) {
      for (let i = 0; i < BLOCKS_A_SLICE; i++) {
        const block = state.written % count
        const version = state.versions[block]! + 1
        store({ path, seed, from: block, count: 1, version })
        state.versions[block] = version
        state.written++
      }
      await new Promise<void>((resolve) => setImmediate(resolve))
    }
  }
  writing = Object.assign(state, { done: run() })
}

/** Appends block after block, until the server is lost; how many it has said to be there. */
async function append({ path, seed }: { path: string; seed: number }): Promise<number> {
  const file = await client.open(path, 'w')
  let said = 0
  const writes = async () => {
    for (; ; said++) await file.write(makeBlocks(seed, said, 1), said * BLOCK)
  }
  await Promise.race([writes().catch(() => {}), new Promise<void>((resolve) => (lost = resolve))])
  return said
}

interface Taking {
  readonly path: string
  readonly reason: string
  readonly iomode?: 'read' | 'rw'
  /** What is done when it is asked back. */
  readonly answers?: boolean
}

async function lend({ path, reason, iomode = 'rw', answers = true }: Taking): Promise<number> {
  const layout = await remote(path).layout({
    iomode,
    reason,
    onRecall: ({ change, deadline }) => {
      tell(`recalled ${path}`, { change, deadline })
      return answers ? undefined : new Promise<void>(() => {})
    },
  })
  void layout.hold.over.then((end) => tell(`over ${path}`, end))
  holds.set(path, { hold: layout.hold, layout })
  return layout.hold.id
}

async function pin({ path, reason }: Taking): Promise<number> {
  const file = files.get(path) as LocalFile | RemoteFile
  const hold = await file.pin({ reason })
  const layout = file instanceof RemoteFile ? await file.register(hold, { write: true }) : null
  holds.set(path, { hold, layout })
  return hold.id
}

interface Changing {
  readonly path: string
  readonly to?: string
  readonly size?: number
  readonly policy?: 'busy' | 'defer'
  readonly deadline?: number
  readonly share?: 'strict' | 'copy'
}

async function timed(run: () => Promise<unknown>): Promise<number> {
  const begin = performance.now()
  await run()
  return performance.now() - begin
}

const answers: Answers = {
  create,
  read,
  store,
  look,
  fetch,
  turns,
  lend,
  pin,
  append,
  beginWriting,
  facts: () => ({ session: client.hello.session, grace: client.hello.grace, pid: process.pid }),
  open: async ({ path }: Blocks) => void files.set(path, await client.open(path, 'r+')),
  map: async ({ path }: Blocks) => {
    const mapping = await local(path).map({ write: true, direct: true, reason: 'a mapping' })
    mappings.set(path, { mapping, bytes: new Uint8Array(mapping.buffer) })
    return mapping.byteLength
  },
  zero: ({ path }: Blocks) => void new Int32Array(mappings.get(path)!.mapping.buffer, 0, 1).fill(0),
  unmap: ({ path }: Blocks) => {
    mappings.get(path)!.mapping.unmap()
    mappings.delete(path)
  },
  put: async ({ path, seed, from = 0, count, version = 0 }: Blocks) => {
    const bytes = makeBlocks(seed, from, count, version)
    await holds.get(path)!.layout!.write(from * BLOCK, bytes)
  },
  letGo: async ({ path }: Blocks) => holds.get(path)!.hold.release(),
  written: () => writing!.written,
  endWriting: async () => {
    writing!.stop = true
    await writing!.done
    return { versions: writing!.versions, written: writing!.written }
  },
  truncate: ({ path, size = 0, ...options }: Changing) =>
    timed(() => client.truncate(path, size, undefined, options)),
  reflink: ({ path, to, share = 'strict' }: Changing) =>
    timed(() => client.reflink(path, to!, { share })),
  size: async ({ path }: Blocks) => (await client.stat(path)).size,
  extents: async ({ path }: Blocks) => (await client.extents(path)).extents,
  holds: () => client.holds(),
  free: async () => (await client.statfs()).blocksFree,
}

answer(answers)
tell('ready')
