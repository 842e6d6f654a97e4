/**
 * A model in a volume, and a worker on another host that loads it one-sided.
 *
 *     node build/examples/model_loader/main.js publish REGION PATH SEED [MIB]
 *     HOLDFAST_KEY=keys node build/examples/model_loader/main.js load hf://HOST:PORT PATH [--swap]
 *
 * `publish` writes a model aside and renames it over the one there was, so that nobody ever opens
 * half of one. `load` reads all tensors and checks each; with `--swap` it pins two layers of what
 * it has loaded, waits until another model is published, and then finds that the pinned layers are
 * those of the old model still, though the file has no name any more, and loads the new one.
 */
import { crc32 } from 'node:zlib'
import { connect, RemoteFile, type Client, type FileLayout } from 'holdfast/client'
import { readHeader, writeModel, type Tensor } from './safetensors.js'

const LAYERS = 16
const PINNED_LAYERS = 2
/** Pieces of one batch: more keep no link busier. */
const PIECE_BYTES = 1 << 20

async function publish(where: string, path: string, seed: number, mib: number): Promise<void> {
  const client = await connect(where)
  const aside = `${path}.new`
  const file = await client.open(aside, 'w+')
  await writeModel(file, seed, LAYERS, (mib << 20) / LAYERS)
  await file.close()
  await client.rename(aside, path)
  await client.close()
  console.log(`${path}: ${LAYERS} layers, ${mib} MiB, seed ${seed}`)
}

/** Reads tensors into memory of ours: all of a batch is under way at once. */
async function readTensors(layout: FileLayout, tensors: readonly Tensor[]): Promise<Uint8Array[]> {
  const all = tensors.map(({ length }) => new Uint8Array(length))
  const pieces = tensors.flatMap(({ offset, length }, i) =>
    Array.from({ length: Math.ceil(length / PIECE_BYTES) }, (_, piece) => {
      const at = piece * PIECE_BYTES
      return { offset: offset + at, into: all[i]!.subarray(at, at + PIECE_BYTES) }
    }),
  )
  await layout.readMany(pieces)
  return all
}

function check(tensors: readonly Tensor[], bytes: readonly Uint8Array[]): void {
  for (const [i, { name, crc }] of tensors.entries()) {
    if (crc32(bytes[i]!) !== crc) throw new Error(`${name} is not what was published`)
  }
}

interface Loaded {
  readonly file: RemoteFile
  readonly tensors: readonly Tensor[]
}

/** Loads a model, checks it, and says how fast that was. */
async function load(client: Client, path: string): Promise<Loaded> {
  const file = await client.open(path)
  if (!(file instanceof RemoteFile)) throw new Error('this loads from another host: hf://HOST:PORT')
  const tensors = await readHeader(file)
  const bytes = tensors.reduce((sum, { length }) => sum + length, 0)
  // A read lease: it allocates nothing, and is given back when somebody wants to change the file.
  await using layout = await file.layout({ iomode: 'read', reason: 'loads the model' })
  const begin = performance.now()
  const all = await readTensors(layout, tensors)
  const seconds = (performance.now() - begin) / 1000
  check(tensors, all)
  const rate = bytes / 2 ** 20 / seconds
  console.log(
    `loaded ${tensors.length} layers: ${bytes >> 20} MiB at ${rate.toFixed(0)} MiB/s, all equal`,
  )
  return { file, tensors }
}

/** Resolves when the path names another file. */
async function swapped(client: Client, path: string, ino: number): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    const look = async () => {
      if ((await client.stat(path)).ino === ino) return
      end()
      resolve()
    }
    const end = client.watch(({ kind }) => {
      if (kind === 'rename') look().catch(reject)
    })
    // It may have been renamed before the server knew that we want to be told.
    client.watching.then(look).catch(reject)
  })
}

async function serve(url: string, path: string, swap: boolean): Promise<void> {
  const client = await connect(url, { name: 'model loader' })
  const { file, tensors } = await load(client, path)
  if (swap) {
    const kept = tensors.slice(0, PINNED_LAYERS)
    const last = kept.at(-1)!
    const offset = kept[0]!.offset
    // A pin, as a device that reads weights by DMA while it computes would need it.
    const length = last.offset + last.length - offset
    await using pin = await file.pin({ offset, length, reason: 'weights in use' })
    const layout = await file.register(pin)
    console.log(`pinned ${kept.length} layers; publish another model now`)
    await swapped(client, path, (await file.stat()).ino)
    check(kept, await readTensors(layout, kept))
    const { nlink } = await file.stat()
    console.log(`swapped; the pinned layers of the old model are there still (${nlink} names)`)
    const { file: next } = await load(client, path)
    await next.close()
  }
  await file.close()
  await client.close()
}

const [what, where, path, ...rest] = process.argv.slice(2)
if (what === 'publish' && where !== undefined && path !== undefined) {
  await publish(where, path, Number(rest[0] ?? 1), Number(rest[1] ?? 64))
} else if (what === 'load' && where !== undefined && path !== undefined) {
  await serve(where, path, rest.includes('--swap'))
} else {
  console.error('usage: main.js publish REGION PATH SEED [MIB] | load hf://HOST:PORT PATH [--swap]')
  process.exitCode = 2
}
