/**
 * A connection of a responder, told what a hostile initiator may say: frames with good CRCs in any
 * order, with numbers that are right, nearly right and wrong, and then with bytes changed. It ends,
 * for one reason, which it tells at most once; what it sends is well-formed to the end; nothing
 * lands where it may not; and all that it had is given back.
 *
 * SEED repeats a run; HOLDFAST_LONG makes it longer.
 */
import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import fc from 'fast-check'
import { Device } from '../../src/rdma/device.js'
import type { ProtectionDomain } from '../../src/rdma/memory_region.js'
import type { FramingOptions } from '../../src/rdma/fpdu.js'
import { Opcode } from '../../src/rdma/wire/ddp.js'
import { encodeMpa, mpaLength } from '../../src/rdma/wire/mpa.js'
import { decodeTerminate } from '../../src/rdma/wire/terminate.js'
import { hexOf, NOTHING } from './frames.js'
import { mutations, shuffles, streamOf, type Recipe } from './mutations.js'
import { framesIn } from './plain_reader.js'
import { runs, seed } from './random.js'
import { ReplayTransport } from './replayed.js'
import {
  ADDRESS,
  endingOf,
  Plot,
  RECEIVE_BYTES,
  RECEIVES,
  REGIONS,
  RIGHTS,
  segmentsOf,
  wishes,
  type Ending,
  type Wish,
} from './responder_model.js'

async function speak(
  all: readonly Wish[],
  recipe: Omit<Recipe, 'segments'>,
  sizes: readonly number[],
) {
  const transport = new ReplayTransport()
  // The same STags each time.
  using device = new Device({ transport, entropy: (words) => words.fill(0x1234_5678) })
  const domain: ProtectionDomain = device.protectionDomain()
  const other = device.protectionDomain()
  const plots = new Map(REGIONS.map((name) => [name, new Plot()]))
  const stags = new Map<string, number>()
  for (const [name, plot] of plots) {
    const owner = name === 'foreign' ? other : domain
    stags.set(name, owner.register(plot.memory, { access: RIGHTS[name], address: ADDRESS }).stag)
  }
  const cq = device.completionQueue()
  const qp = device.queuePair(domain, { sendCq: cq })
  for (let i = 0; i < RECEIVES; i++) {
    const into = new Uint8Array(RECEIVE_BYTES)
    qp.postReceive({ id: into, into })
  }
  const { crc, markers } = recipe.framing
  const listener = await device.listen()
  const stream = transport.arrive()
  const setup = { kind: 'request', revision: 1, reject: false, large: false } as const
  stream.feed(encodeMpa({ ...setup, crc, markers, enhanced: null, privateData: NOTHING }), 1000)
  const request = (await listener.next())!
  request.accept(qp, { crc: false, markers })
  const bytes = streamOf({ ...recipe, segments: segmentsOf(all, stags) })
  stream.feed(bytes, ...sizes)
  stream.finish()
  const { cause, error } = await qp.closed

  const sent = framesIn(stream.sent.subarray(mpaLength(stream.sent)), { crc, markers })
  assert.deepEqual([sent.error, sent.between], [null, true], 'what was sent is well-formed')
  const terminates = sent.ulpdus.flatMap((ulpdu, i) => ((ulpdu[1]! & 15) === 7 ? [i] : []))
  assert.deepEqual(terminates, cause === 'refused' ? [sent.ulpdus.length - 1] : [])
  if (cause === 'refused') {
    const payload = sent.ulpdus.at(-1)!.subarray(18)
    assert.deepEqual(decodeTerminate(payload, true).error, error)
  }
  for (const [name, plot] of plots) {
    if (name === 'open') plot.assertGuards()
    else plot.assertUntouched()
  }
  const received: string[] = []
  let completions = 0
  for (let one = cq.take(); one !== null; one = cq.take(), completions++) {
    if (one.status === 'SUCCESS') received.push(hexOf(one.id as Uint8Array))
  }
  assert.equal(completions, RECEIVES, 'each receive completes, once')
  assert.deepEqual([device.connections, device.sendBuffer.kept], [0, 0])
  const open = hexOf(plots.get('open')!.memory)
  return { cause, error: error?.join(' ') ?? '', received, open } satisfies Ending
}

const few = <T>(arbitrary: fc.Arbitrary<T>) => fc.array(arbitrary, { maxLength: 2 })
const changes = fc.record({
  inside: fc.oneof(fc.constant([]), few(fc.tuple(fc.nat(), mutations))),
  shuffled: fc.oneof(fc.constant([]), few(shuffles)),
  outside: fc.oneof(fc.constant([]), few(mutations)),
  framing: fc.record({ crc: fc.boolean(), markers: fc.boolean() }),
})
const cuts = fc.array(fc.integer({ min: 1, max: 300 }), { minLength: 1, maxLength: 4 })

/** Endings, counted; for who reads what a run was worth. */
class Tally {
  readonly #counts = new Map<string, number>()

  add({ cause, error }: Ending): void {
    const said = error === '' ? cause : `${cause} ${error}`
    this.#counts.set(said, (this.#counts.get(said) ?? 0) + 1)
  }

  assertWide(t: TestContext, kinds: number): void {
    const found = [...this.#counts].sort().map(([what, n]) => `${what}: ${n}`)
    t.diagnostic(found.join(', '))
    assert.ok(found.length >= kinds, found.join(', '))
  }
}

test(`a hostile initiator ends his own connection, and nothing else (SEED=${seed})`, async (t) => {
  const tally = new Tally()
  const frames = fc.array(wishes, { minLength: 1, maxLength: 10 })
  const run = async (all: Wish[], change: Omit<Recipe, 'segments'>, sizes: number[]) => {
    tally.add(await speak(all, change, sizes))
  }
  await fc.assert(fc.asyncProperty(frames, changes, cuts, run), runs(500))
  tally.assertWide(t, 12)
})

/** When these are answered depends on what comes together. */
const ANSWERED: readonly number[] = [Opcode.readRequest, Opcode.atomicRequest]

test(`each fault is found where it is, and what is before it holds (SEED=${seed})`, async (t) => {
  const tally = new Tally()
  const unanswered = wishes.filter(({ opcode }) => !ANSWERED.includes(opcode))
  const frames = fc.array(unanswered, { minLength: 1, maxLength: 12 })
  const framing = fc.record({ crc: fc.boolean(), markers: fc.boolean() })
  const run = async (all: Wish[], as: FramingOptions, sizes: number[]) => {
    const unchanged = { inside: [], shuffled: [], outside: [], framing: as }
    const expected = endingOf(all)
    for (const way of [sizes, [1 << 16]]) {
      assert.deepEqual(await speak(all, unchanged, way), expected)
    }
    tally.add(expected)
  }
  await fc.assert(fc.asyncProperty(frames, framing, cuts, run), runs(500))
  tally.assertWide(t, 8)
})
