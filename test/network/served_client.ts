/** A client of a server on another host, as a program (served.test.ts). */
import { createHash } from 'node:crypto'
import { connect, type Client } from '../../src/client/index.js'
import type { FileLayout } from '../../src/client/layout.js'
import type { RemoteFile } from '../../src/client/remote_file.js'
import { connectPeer, Device } from '../../src/rdma/index.js'
import { Prng } from '../../src/base/prng.js'
import { patternOf } from '../interop/pattern.js'
import { serve, tell } from '../processes/serve.js'

const PIECE_BYTES = 8 << 20

const device = new Device()
let client!: Client
const files = new Map<string, RemoteFile>()
const layouts = new Map<string, FileLayout>()

interface At {
  readonly path: string
  readonly offset?: number
  readonly length: number
}

const fileOf = (path: string) => files.get(path)!

/** Reads and writes at random, and what is read is what was written. */
async function work(args: At & { seed: number; operations: number; longest: number }) {
  const { path, length, seed, operations, longest } = args
  const file = fileOf(path)
  const prng = new Prng(seed)
  const model = patternOf(seed, length)
  await file.write(model, 0)
  for (let i = 0; i < operations; i++) {
    const offset = prng.below(length)
    const count = Math.min(length - offset, 1 + prng.below(longest))
    if (prng.below(3) === 0) {
      const bytes = patternOf(prng.next(), count)
      model.set(bytes, offset)
      await file.write(bytes, offset)
      continue
    }
    const got = new Uint8Array(count)
    const read = await file.read(got, offset)
    const wanted = model.subarray(offset, offset + count)
    if (read === count && Buffer.compare(got, wanted) === 0) continue
    throw new Error(`operation ${i}: ${read} bytes at ${offset} are not what they were made`)
  }
  await file.sync()
  return model
}

async function eachPiece(
  length: number,
  run: (at: number, hash: ReturnType<typeof createHash>) => Promise<void>,
): Promise<string> {
  const hash = createHash('sha1')
  for (let at = 0; at < length; at += PIECE_BYTES) await run(at, hash)
  return hash.digest('hex')
}

serve({
  connect: async (args: { where: string; key: string; patience?: number; name?: string }) => {
    const { where, ...options } = args
    client = await connect(where, options)
    client.onLost = (error) => tell('lost', error.message)
    client.onConnected = () => tell('connected')
    return { session: client.hello.session, keepalive: client.hello.keepalive }
  },
  /** As a program that speaks verbs and nothing of ours: it has a connection, and says nothing. */
  reach: async ({ host, port }: { host: string; port: number }) => {
    const peer = await connectPeer(device, { host, port })
    const stag = new DataView(Uint8Array.from(peer.privateData).buffer).getUint32(16)
    return (await peer.read(stag, 0, 4096)).length
  },
  open: async ({
    path,
    flags,
    fault = false,
  }: {
    path: string
    flags: string
    fault?: boolean
  }) => {
    const file = await client.open(path, flags as 'r+', 0o666, undefined, { fault })
    files.set(path, file as RemoteFile)
  },
  read: async ({ path, offset = 0, length }: At) => {
    const bytes = new Uint8Array(length)
    const got = await fileOf(path).read(bytes, offset)
    return bytes.subarray(0, got)
  },
  write: ({ path, offset = 0, length, seed }: At & { seed: number }) =>
    fileOf(path).write(patternOf(seed, length), offset),
  sync: ({ path }: { path: string }) => fileOf(path).sync(),
  size: async ({ path }: { path: string }) => (await fileOf(path).stat()).size,
  work,
  close: async ({ path }: { path: string }) => fileOf(path).close(),
  leave: () => client.close(),

  /** A layout; `answers`: it is given back when it is asked for. */
  layout: async ({
    path,
    answers,
    ...options
  }: At & { iomode: 'read' | 'rw'; answers: boolean }) => {
    const onRecall = () => {
      tell('recall', path)
      return answers ? undefined : new Promise<void>(() => {})
    }
    const layout = await fileOf(path).layout({ ...options, onRecall })
    layouts.set(path, layout)
    void layout.hold.over.then((end) => tell('over', end))
    return layout.hold.id
  },
  layoutRead: ({ path, offset = 0, length }: At) => layouts.get(path)!.read(offset, length),
  layoutWrite: ({ path, offset = 0, length, seed }: At & { seed: number }) =>
    layouts.get(path)!.write(offset, patternOf(seed, length)),
  layoutCommit: ({ path, size }: { path: string; size?: number }) =>
    layouts.get(path)!.commit(size),
  pin: async ({ path }: { path: string }) => (await fileOf(path).pin({ reason: 'a test' })).id,

  /** Writes a file in large pieces, or reads it; what it has. */
  writeLarge: ({ path, length, seed }: At & { seed: number }) =>
    eachPiece(length, async (at, hash) => {
      const bytes = patternOf(seed + at / PIECE_BYTES, Math.min(PIECE_BYTES, length - at))
      hash.update(bytes)
      await fileOf(path).write(bytes, at)
    }).then(async (found) => {
      await fileOf(path).sync()
      return found
    }),
  readLarge: ({ path, length }: At) => {
    const bytes = new Uint8Array(PIECE_BYTES)
    return eachPiece(length, async (at, hash) => {
      hash.update(bytes.subarray(0, await fileOf(path).read(bytes, at)))
    })
  },

  /** Writes through a layout again and again, until it fails: why. */
  flood: async ({ path, length, seed }: At & { seed: number }) => {
    const layout = layouts.get(path)!
    const bytes = patternOf(seed, length)
    await layout.write(0, bytes)
    tell('flooding')
    try {
      for (;;) await layout.write(0, bytes)
    } catch (error) {
      return (error as NodeJS.ErrnoException).code
    }
  },
})
