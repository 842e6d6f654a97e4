/** Random streams of valid segments, and what a careless or hostile peer makes of them. */
import fc from 'fast-check'
import { FpduWriter, type FramingOptions } from '../../src/rdma/fpdu.js'
import {
  AtomicRequest,
  AtomicResponse,
  IMMEDIATE_BYTES,
  Opcode,
  queueOf,
  ReadRequest,
} from '../../src/rdma/wire/ddp.js'
import { encodeTerminate, RdmapError } from '../../src/rdma/wire/terminate.js'
import { frameOf, joined, NOTHING, pattern, segmentOf } from './frames.js'

/** Payload of messages that have one of a certain size. */
const SIZES: Readonly<Partial<Record<Opcode, number>>> = {
  [Opcode.readRequest]: ReadRequest.size,
  [Opcode.immediate]: IMMEDIATE_BYTES,
  [Opcode.immediateSolicited]: IMMEDIATE_BYTES,
  [Opcode.atomicRequest]: AtomicRequest.size,
  [Opcode.atomicResponse]: AtomicResponse.size,
}

const word = fc.oneof(fc.constantFrom(0, 1, 0xffff_ffff), fc.integer({ min: 0, max: 0xffff_ffff }))
const address = fc.oneof(fc.constantFrom(0n, (1n << 64n) - 1n), fc.bigInt(0n, (1n << 64n) - 1n))
const sizes = fc.oneof(
  { arbitrary: fc.integer({ min: 0, max: 60 }), weight: 6 },
  { arbitrary: fc.integer({ min: 400, max: 1600 }), weight: 2 },
)

/** A segment in which nothing is wrong, whatever its numbers. */
export const segments = fc
  .record({
    opcode: fc.constantFrom(...Object.values(Opcode)),
    last: fc.boolean(),
    numbers: fc.tuple(word, word, word),
    to: address,
    size: sizes,
  })
  .map(({ opcode, last, numbers: [first, second, third], to, size }) => {
    const fixed = SIZES[opcode]
    if (queueOf(opcode) === -1) {
      return segmentOf({ opcode, last, stag: first, to, payload: pattern(size, first) })
    }
    if (opcode === Opcode.terminate) {
      const error = RdmapError.invalidStag
      const payload = encodeTerminate({ error, length: size, ddp: NOTHING, rdmap: NOTHING })
      return segmentOf({ opcode, msn: first, payload })
    }
    const payload = pattern(fixed ?? size, second)
    const whole = fixed !== undefined
    const mo = whole ? 0 : third
    return segmentOf({
      opcode,
      last: whole || last,
      msn: first,
      mo,
      invalidateStag: second,
      payload,
    })
  })

/** Places are numbers that are taken modulo what there is: so they shrink on their own. */
const place = fc.nat({ max: 0xffff })
const little = fc.oneof(fc.integer({ min: 0, max: 8 }), fc.integer({ min: 0, max: 600 }))

/** One change of some bytes. */
export const mutations = fc.oneof(
  fc.record({ kind: fc.constant('flip'), at: place, bit: fc.nat({ max: 7 }) }),
  fc.record({ kind: fc.constant('set'), at: place, value: fc.nat({ max: 255 }) }),
  fc.record({ kind: fc.constant('truncate'), at: place }),
  fc.record({ kind: fc.constant('remove'), at: place, length: little }),
  fc.record({ kind: fc.constant('insert'), at: place, bytes: fc.uint8Array({ maxLength: 40 }) }),
  fc.record({ kind: fc.constant('splice'), at: place, from: place, length: little }),
)
export type Mutation = typeof mutations extends fc.Arbitrary<infer T> ? T : never

export function mutate(bytes: Uint8Array, mutation: Mutation): Uint8Array {
  const at = bytes.length === 0 ? 0 : mutation.at % bytes.length
  const replaced = (removed: number, by: Uint8Array) =>
    joined([bytes.subarray(0, at), by, bytes.subarray(at + removed)])
  if ('bit' in mutation) return replaced(1, Uint8Array.of((bytes[at] ?? 0) ^ (1 << mutation.bit)))
  if ('value' in mutation) return replaced(1, Uint8Array.of(mutation.value))
  if ('bytes' in mutation) return replaced(0, mutation.bytes)
  if ('from' in mutation) {
    const from = mutation.from % Math.max(1, bytes.length)
    return replaced(0, bytes.slice(from, from + mutation.length))
  }
  return replaced('length' in mutation ? mutation.length : bytes.length - at, NOTHING)
}

/** Something done to whole frames: another order, one twice, a length that lies. */
export const shuffles = fc.oneof(
  fc.record({ kind: fc.constant('move'), frame: place, to: place }),
  fc.record({ kind: fc.constant('again'), frame: place }),
  fc.record({
    kind: fc.constant('lie'),
    frame: place,
    length: fc.oneof(fc.nat({ max: 40 }), fc.constantFrom(0xffff, 0xfffe), fc.nat({ max: 0xffff })),
  }),
)
export type Shuffle = typeof shuffles extends fc.Arbitrary<infer T> ? T : never

function shuffle(frames: Uint8Array[], what: Shuffle): void {
  if (frames.length === 0) return
  const at = what.frame % frames.length
  const frame = frames[at]!
  if ('to' in what) {
    frames.splice(at, 1)
    frames.splice(what.to % (frames.length + 1), 0, frame)
  } else if ('length' in what) {
    const lie = frame.slice()
    lie.set([what.length >>> 8, what.length & 0xff])
    frames[at] = lie
  } else frames.splice(at, 0, frame)
}

export interface Recipe {
  readonly segments: readonly Uint8Array[]
  /** Of segments, before they are framed: their CRCs are good. */
  readonly inside: readonly (readonly [segment: number, Mutation])[]
  readonly shuffled: readonly Shuffle[]
  /** Of the stream. */
  readonly outside: readonly Mutation[]
  readonly framing: FramingOptions
}

const few = <T>(arbitrary: fc.Arbitrary<T>) => fc.array(arbitrary, { maxLength: 3 })

/** Streams that are valid but for some changes, often for none. */
export const recipes: fc.Arbitrary<Recipe> = fc.record({
  segments: fc.array(segments, { minLength: 1, maxLength: 8 }),
  inside: few(fc.tuple(place, mutations)),
  shuffled: few(shuffles),
  outside: few(mutations),
  framing: fc.record({ crc: fc.boolean(), markers: fc.boolean() }),
})

export function streamOf(recipe: Recipe): Uint8Array {
  const ulpdus = recipe.segments.slice()
  for (const [segment, mutation] of recipe.inside) {
    const at = segment % ulpdus.length
    ulpdus[at] = mutate(ulpdus[at]!, mutation)
  }
  const writer = new FpduWriter(recipe.framing)
  const frames = ulpdus.map((ulpdu) => frameOf(ulpdu, writer))
  for (const one of recipe.shuffled) shuffle(frames, one)
  return recipe.outside.reduce(mutate, joined(frames))
}
