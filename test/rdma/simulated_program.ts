/** Random programs of two ends, as data: what fast-check makes, and makes smaller. */
import fc from 'fast-check'
import type { Offer } from '../../src/rdma/setup.js'
import type { Loss, Wire } from './simulated_transport.js'

/** What an end does, how often. */
const KINDS = {
  send: 14,
  write: 16,
  writeImmediate: 4,
  immediate: 4,
  read: 14,
  fetchAdd: 6,
  compareSwap: 6,
  localInvalidate: 3,
  receive: 16,
  wait: 10,
  touch: 4,
  offer: 2,
  sendInvalidate: 2,
  bad: 3,
  revoke: 1,
  disconnect: 1,
  abort: 1,
} as const

export type Kind = keyof typeof KINDS

export interface Step {
  readonly kind: Kind
  readonly side: 0 | 1
  readonly link: number
  /** What the numbers of the step come from. */
  readonly chance: number
  readonly fence: boolean
  readonly unsignaled: boolean
  readonly solicited: boolean
  /** Time passes behind it. */
  readonly pause: boolean
}

export interface Setup {
  readonly initiator: Offer
  readonly responder: Offer
  readonly patience: readonly [number, number]
  readonly maxSend: number
  readonly wire: Wire
  /** Programs take their completions from one queue of all, and at once. */
  readonly sharedQueue: boolean
  readonly listens: boolean
  readonly links: number
}

export interface Program {
  readonly seed: number
  readonly setup: Setup
  readonly steps: readonly Step[]
}

const kind = fc.oneof(
  ...Object.entries(KINDS).map(([name, weight]) => ({
    arbitrary: fc.constant(name as Kind),
    weight,
  })),
)

const rarely = (often: number) => fc.integer({ min: 0, max: often }).map((n) => n === often)

const step: fc.Arbitrary<Step> = fc.record({
  kind,
  side: fc.constantFrom(0 as const, 1 as const),
  link: fc.nat({ max: 2 }),
  chance: fc.nat({ max: 0x7fff_ffff }),
  fence: rarely(5),
  unsignaled: rarely(4),
  solicited: rarely(3),
  pause: rarely(2),
})

const rtrs = fc.shuffledSubarray(['write', 'read', 'send'] as const, { minLength: 1 })

const offers = fc
  .record({
    revision: fc.constantFrom(2 as const, 2 as const, 1 as const),
    peerToPeer: fc.boolean(),
    crc: fc.tuple(fc.boolean(), fc.boolean()),
    markers: fc.tuple(rarely(2), rarely(2)),
    large: fc.tuple(fc.boolean(), fc.boolean()),
    rtrs: fc.tuple(rtrs, rtrs),
    depth: fc.tuple(fc.integer({ min: 1, max: 5 }), fc.integer({ min: 1, max: 5 })),
  })
  .map(({ revision, peerToPeer, crc, markers, large, rtrs: kinds, depth }) => {
    const [a, b] = [0, 1].map((i) => ({
      revision,
      crc: crc[i]!,
      markers: markers[i]!,
      large: large[i]!,
      rtrs: kinds[i]!,
      // Revision 1 agrees on nothing: what is served must be what is wanted.
      ird: depth[revision === 1 ? 0 : i]!,
      ord: depth[0],
    }))
    return {
      initiator: { ...a, peerToPeer: peerToPeer && revision === 2 } as Offer,
      responder: b as Offer,
    }
  })

const loss: fc.Arbitrary<Loss | null> = fc.oneof(
  { arbitrary: fc.constant(null), weight: 3 },
  {
    arbitrary: fc.record({
      direction: fc.constantFrom(0 as const, 1 as const),
      after: fc.oneof(fc.integer({ min: 1, max: 300 }), fc.integer({ min: 1, max: 30_000 })),
      how: fc.constantFrom('reset' as const, 'end' as const, 'silence' as const),
    }),
    weight: 2,
  },
)

const size = fc.oneof(
  { arbitrary: fc.integer({ min: 1, max: 8 }), weight: 1 },
  { arbitrary: fc.integer({ min: 9, max: 600 }), weight: 2 },
  { arbitrary: fc.integer({ min: 601, max: 70_000 }), weight: 2 },
  { arbitrary: fc.constant(1 << 21), weight: 2 },
)

const wire: fc.Arbitrary<Wire> = fc.record({
  window: size,
  room: size,
  piece: size,
  delay: fc.constantFrom(0, 0.1, 1, 1, 20),
  segmentBytes: fc.constantFrom(null, 1, 200, 201, 536, 1448, 9000, 65_483),
  loss,
})

const patience = fc.constantFrom(0, 50, 1e9)

const setup: fc.Arbitrary<Setup> = fc
  .record({
    offers,
    patience: fc.tuple(patience, patience),
    maxSend: fc.constantFrom(1, 3, 16, 64),
    wire,
    sharedQueue: fc.boolean(),
    listens: fc.boolean(),
    links: fc.integer({ min: 1, max: 3 }),
  })
  .map(({ offers: both, ...rest }) => ({ ...both, ...rest }))

export const program = (steps: number): fc.Arbitrary<Program> =>
  fc.record({
    seed: fc.nat({ max: 0x7fff_ffff }),
    setup,
    steps: fc.array(step, { maxLength: steps, size: 'max' }),
  })
