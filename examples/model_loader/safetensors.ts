/**
 * Model files laid out as safetensors has them: eight bytes with the length of a header, the header
 * in JSON, the tensors one behind the other. The header is padded so that tensors begin with a
 * block: what is pinned of one is not of its neighbour.
 */
import { crc32 } from 'node:zlib'
import type { Client } from 'holdfast/client'

const ALIGN = 4096
const LENGTH_BYTES = 8

type File = Awaited<ReturnType<Client['open']>>

export interface Tensor {
  readonly name: string
  /** Where it is in the file. */
  readonly offset: number
  readonly length: number
  readonly crc: number
}

interface Header {
  readonly __metadata__: Readonly<Record<string, string>>
  readonly [name: string]: unknown
}

interface Entry {
  readonly dtype: string
  readonly shape: readonly number[]
  readonly data_offsets: readonly [number, number]
}

/** Weights from a seed, as bytes: any model of the same seed has the same. */
export function weights(seed: number, layer: number, bytes: number): Uint8Array {
  const words = new Uint32Array(bytes / 4)
  let state = (Math.imul(seed, 0x9e3779b1) ^ Math.imul(layer + 1, 0x85ebca77)) | 1
  for (let i = 0; i < words.length; i++) {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    words[i] = state
  }
  return new Uint8Array(words.buffer)
}

/** Writes a model of so many layers of 2^n bytes. */
export async function writeModel(file: File, seed: number, layers: number, bytes: number) {
  const entries: Record<string, unknown> = {}
  const crcs: Record<string, string> = { seed: `${seed}` }
  const all = Array.from({ length: layers }, (_, layer) => weights(seed, layer, bytes))
  for (const [layer, tensor] of all.entries()) {
    const name = `layers.${layer}.weight`
    const begin = layer * bytes
    const shape = [bytes / 4 / 1024, 1024]
    entries[name] = { dtype: 'F32', shape, data_offsets: [begin, begin + bytes] }
    crcs[name] = crc32(tensor).toString(16)
  }
  const text = JSON.stringify({ __metadata__: crcs, ...entries })
  const size = Math.ceil((LENGTH_BYTES + text.length) / ALIGN) * ALIGN
  const head = Buffer.alloc(size, ' ') // JSON may end with spaces
  head.writeBigUInt64LE(BigInt(size - LENGTH_BYTES))
  head.write(text, LENGTH_BYTES)
  // Room for all of it first, in one run where there is one: one extent, one registration.
  const total = size + layers * bytes
  await file.allocate(0, total, { contiguous: true }).catch(() => file.allocate(0, total))
  await file.write(head, 0)
  for (const [layer, tensor] of all.entries()) await file.write(tensor, size + layer * bytes)
  await file.sync()
}

/** What is in a model: two small reads. */
export async function readHeader(file: File): Promise<Tensor[]> {
  const first = Buffer.alloc(LENGTH_BYTES)
  await file.read(first, 0)
  const length = Number(first.readBigUInt64LE())
  if (length > 1 << 24) throw new RangeError(`a header of ${length} bytes: that is no model`)
  const text = Buffer.alloc(length)
  await file.read(text, LENGTH_BYTES)
  const { __metadata__: crcs, ...entries } = JSON.parse(text.toString()) as Header
  return Object.entries(entries as Record<string, Entry>).map(([name, { data_offsets: at }]) => ({
    name,
    offset: LENGTH_BYTES + length + at[0],
    length: at[1] - at[0],
    crc: parseInt(crcs[name] ?? '', 16),
  }))
}
