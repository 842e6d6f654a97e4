/** One cell of the table tried: what is set up, what is asked, and what must have come of it. */
import assert from 'node:assert/strict'
import { BLOCK_BYTES } from '../../src/base/limits.js'
import type { LayoutFile } from '../../src/layout/file.js'
import {
  CALLS,
  contentsAtFirst,
  FILE_BLOCKS,
  makeFiles,
  type Call,
  type Contents,
  type Options,
  type Place,
} from './calls.js'
import {
  contractSays,
  policySays,
  policyThatCounts,
  type Column,
  type Policy,
} from './contract_table.js'
import {
  assertBytes,
  assertRefused,
  infoOf,
  placesOf,
  type AnyHold,
  type Ground,
} from './ground.js'
import { idle, outcomeOf } from './timers.js'

const B = BLOCK_BYTES

export const KINDS = [
  'none',
  'read lease',
  'rw lease',
  'seal',
  'pin',
  'fixed',
  'fixed, write-sealed',
] as const
export type Kind = (typeof KINDS)[number]

export const PLACES = ['overlap', 'touch', 'apart'] as const
export type Where = (typeof PLACES)[number]

/** `in vain`: the promise form, and what it waits for does not come. */
export const FORMS = ['synchronous', 'promise', 'in vain'] as const
export type Form = (typeof FORMS)[number]

export interface Cell {
  readonly call: Call
  readonly kind: Kind
  readonly where: Where
  readonly own: boolean
  readonly form: Form
  readonly share: 'strict' | 'copy'
  readonly volume: Policy
  readonly file: Policy | null
  readonly byCall: Policy | null
}

export function nameOf(cell: Cell): string {
  const { call, kind, where, own, form, share, volume, file, byCall } = cell
  const held = kind === 'none' ? kind : `${own ? 'own' : "another's"} ${kind}`
  const policy = `policy ${volume}/${file ?? '-'}/${byCall ?? '-'}`
  return `${call.name} x ${held}, ${where}, ${form}, ${share}, ${policy}`
}

/** File blocks that the hold of a cell covers; null: there is no such place. */
export function heldBlocks({ call, kind, where }: Cell): [from: number, to: number] | null {
  const { from, to, row, shape } = call
  const whole = from === 0
  if (kind === 'none' || kind.startsWith('fixed')) return where === 'overlap' ? [0, 1] : null
  if (where === 'overlap') {
    // Where a hold leaves nothing to change it covers all of the range, else only a part of it.
    if (row === 'grow' || row === 'unshare') {
      if (whole) return [0, FILE_BLOCKS]
      // A mapping does not reach past the end of its file.
      if (kind === 'seal' && from >= FILE_BLOCKS) return null
      return [from, to + (shape === 'full' ? 0 : 2)]
    }
    return from + 1 < to ? [from + 1, from + 3] : [from - 1, to]
  }
  if (whole) return null
  if (where === 'apart') return [0, 2]
  return [from - 2, from]
}

function columnOf(kind: Kind): Column {
  if (kind === 'none') return 'mediated'
  return kind === 'fixed, write-sealed' ? 'fixed' : kind
}

type Expected =
  'ok' | 'nothing to do' | 'recall' | 'wait' | 'defer' | 'copy' | 'EBUSY' | 'ETXTBSY' | 'EPERM'

export function expectedOf(cell: Cell): Expected {
  const { call, kind, where, own, form, share } = cell
  const writeSealed = kind === 'fixed, write-sealed'
  if (writeSealed && call.writes === true) return 'EPERM'
  if (where !== 'overlap') return 'ok'
  const says = contractSays(call.row, columnOf(kind), { share, writeSealed })
  const pastTheEnd = call.from >= FILE_BLOCKS
  if (kind === 'fixed' && call.row === 'grow' && !pastTheEnd) return 'nothing to do'
  if (says === 'none') return 'nothing to do'
  if (says === 'policy') {
    const policy = policySays(
      policyThatCounts(cell.volume, cell.file, cell.byCall),
      form === 'synchronous',
    )
    return policy
  }
  if (says !== 'recall') return says
  if (own) return 'ok'
  return form === 'synchronous' ? 'EBUSY' : 'recall'
}

interface Held extends AnyHold {
  /** Times that it was asked back. */
  recalls: number
}

class Trial {
  readonly cell: Cell
  readonly what: string
  readonly ground: Ground
  readonly place: Place
  readonly contents: Contents
  readonly others: LayoutFile
  held: Held | null = null

  constructor(ground: Ground, cell: Cell) {
    this.ground = ground
    this.cell = cell
    this.what = nameOf(cell)
    this.contents = contentsAtFirst(cell.call.shape)
    this.place = makeFiles(ground, cell.call.shape)
    const { volume } = ground
    if (cell.file !== null) volume.setPolicy('/f', cell.file)
    this.others = cell.own ? volume.open('/f', 'r+') : volume.openAs(ground.other, '/f', 'r+')
    this.#hold()
  }

  #hold(): void {
    const { kind } = this.cell
    const { volume } = this.ground
    if (kind === 'none') return
    if (kind.startsWith('fixed')) {
      volume.fix('/f')
      if (kind !== 'fixed') volume.sealWrites('/f')
      return
    }
    const [from, to] = heldBlocks(this.cell)!
    const range = { offset: from * B, length: (to - from) * B, reason: kind }
    if (kind === 'seal') {
      const mapping = this.others.map({ ...range, direct: true, write: true })
      const { id } = volume.holds().at(-1)!
      this.held = { id, recalls: 0, release: () => mapping.unmap() }
      return
    }
    if (kind === 'pin') {
      const hold = this.others.pin(range)
      this.held = { id: hold.id, recalls: 0, release: () => hold.release() }
      return
    }
    const held: Held = { id: 0, recalls: 0, release: () => hold.release() }
    const iomode = kind === 'read lease' ? 'read' : 'rw'
    const hold = this.others.lease({ ...range, iomode, onRecall: () => held.recalls++ })
    this.held = Object.assign(held, { id: hold.id })
  }

  get options(): Options {
    const { call, byCall, share } = this.cell
    return {
      ...(byCall === null ? {} : { policy: byCall }),
      ...(call.row.includes('share') ? { share } : {}),
    }
  }

  runSync(): unknown {
    try {
      this.cell.call.run(this.place, this.options)
      return null
    } catch (error) {
      return error
    }
  }

  runPromise(): Promise<unknown> {
    const { call } = this.cell
    if (call.promise !== undefined) return call.promise(this.place, this.options)
    const { policy, ...rest } = this.options
    const run = () => call.run(this.place, rest)
    return this.ground.volume.promises.settle(run, policy === undefined ? {} : { policy })
  }

  // ---- what must have come of it ---------------------------------------------------------------

  read(path: string): Uint8Array {
    return this.ground.volume.readFile(path)
  }

  assertContents(): void {
    assertBytes(this.read('/f'), this.contents.f, `${this.what}: /f`)
    assertBytes(this.read('/g'), this.contents.g, `${this.what}: /g`)
    if (this.cell.call.shape === 'shared') {
      assertBytes(this.read('/h'), contentsAtFirst('full').f, `${this.what}: /h`)
    }
    if (this.contents.made !== null) {
      assertBytes(this.read('/made'), this.contents.made, `${this.what}: /made`)
    }
  }

  /** A hold whose blocks were not to change has them where they were. */
  assertHeld(before: readonly number[]): void {
    if (this.held === null) return
    assert.equal(infoOf(this.ground, this.held.id)?.state, 'held', this.what)
    assert.deepEqual(placesOf(this.ground, this.held.id), before, `${this.what}: held blocks`)
    if (this.mayShare) return
    for (const block of before) {
      assert.equal(this.ground.volume.core.shares.find(block), false, `${this.what}: an owner more`)
    }
  }

  /** Only a read lease covers shared blocks. */
  get mayShare(): boolean {
    const { kind, call } = this.cell
    if (kind !== 'read lease') return false
    return call.shape === 'shared' || call.row === 'share, as source'
  }

  end(): void {
    const { volume } = this.ground
    this.held?.release()
    assert.equal(this.ground.limbo, 0, `${this.what}: limbo after the end of the hold`)
    assert.equal(volume.core.frames.distinct, 0, `${this.what}: frames`)
    this.others.close()
    this.place.f.close()
    this.place.g.close()
    if (this.cell.kind === 'fixed, write-sealed') {
      for (const path of ['/g', '/made']) if (this.#isThere(path)) volume.unlink(path)
      volume.sealWrites('/f', { off: true })
    }
    if (this.cell.kind.startsWith('fixed')) volume.unfix('/f')
    for (const path of ['/f', '/g', '/h', '/made', '/between']) {
      if (this.#isThere(path)) volume.unlink(path)
    }
  }

  #isThere(path: string): boolean {
    return this.ground.volume.readdir('/').some(({ name }) => `/${Buffer.from(name)}` === path)
  }
}

/** Tries a cell; throws when the contract is not kept. */
export async function tryCell(ground: Ground, cell: Cell): Promise<void> {
  const trial = new Trial(ground, cell)
  const expected = expectedOf(cell)
  const { what, held } = trial
  const places = held === null ? [] : placesOf(ground, held.id)
  const image = isRefusal(trial, expected) ? ground.image() : null
  const generation = ground.generation('/f')
  const mediated = new Map(places.map((block) => [block, ground.bytesAt(block)]))
  let error: unknown
  if (cell.form === 'synchronous') {
    error = trial.runSync()
    assert.equal(held?.recalls ?? 0, 0, `${what}: a form that never waits recalls nothing`)
  } else error = await settled(trial, expected)
  if (image !== null) {
    const code = expected === 'wait' ? 'EBUSY' : expected
    assertRefused(error, code, held === null ? [] : [held], what)
    ground.assertSameImage(image, what)
    assert.equal(ground.generation('/f'), generation, `${what}: layout generation`)
    trial.assertHeld(places)
    trial.assertContents()
    return trial.end()
  }
  if (error !== null && error !== undefined) throw new Error(what, { cause: error })
  cell.call.effect(trial.contents)
  trial.assertContents()
  assertEffect(trial, expected, places, mediated, generation)
  trial.assertContents()
  trial.end()
}

function isRefusal({ cell }: Trial, expected: Expected): boolean {
  if (expected === 'wait') return cell.form === 'in vain'
  return expected === 'EBUSY' || expected === 'ETXTBSY' || expected === 'EPERM'
}

/** The promise form to its end: what is to answer answers, time that is to pass passes. */
async function settled(trial: Trial, expected: Expected): Promise<unknown> {
  const { cell, ground, held, what } = trial
  const outcome = outcomeOf(trial.runPromise())
  await idle()
  if (expected === 'recall') {
    assert.equal(outcome.settled, false, `${what}: it waits for the answer`)
    assert.equal(held!.recalls, 1, `${what}: recalls`)
    assert.equal(infoOf(ground, held!.id)?.state, 'recalled', what)
    held!.release()
    await idle()
  } else if (expected === 'wait') {
    assert.equal(outcome.settled, false, `${what}: it waits for the pin`)
    if (cell.form === 'in vain') {
      await ground.timers.pass(9_999)
      assert.equal(outcome.settled, false, `${what}: ten seconds have not passed`)
      await ground.timers.pass(1)
    } else {
      held!.release()
      await idle()
    }
  }
  for (let i = 0; i < 20 && !outcome.settled; i++) await idle()
  assert.equal(outcome.settled, true, `${what}: it is done`)
  if (expected !== 'recall') assert.equal(held?.recalls ?? 0, 0, `${what}: recalls`)
  assert.equal(ground.timers.waiting, 0, `${what}: timers left behind`)
  return outcome.error ?? null
}

function assertEffect(
  trial: Trial,
  expected: Expected,
  places: readonly number[],
  mediated: ReadonlyMap<number, Uint8Array>,
  generation: number,
): void {
  const { cell, ground, held, what } = trial
  const now = ground.generation('/f')
  if (expected === 'nothing to do') assert.equal(now, generation, `${what}: layout generation`)
  else if (expected !== 'copy') assert.ok(now > generation, `${what}: layout generation`)
  if (held === null) return
  if (expected === 'defer') return assertDeferred(trial, places, mediated)
  assert.equal(ground.limbo, 0, `${what}: nothing is in limbo`)
  if (expected === 'recall' || expected === 'wait') {
    return assert.equal(infoOf(ground, held.id), undefined, what)
  }
  const [from, to] = heldBlocks(cell)!
  const { call, own, kind, where } = cell
  if (expected === 'copy') {
    for (let block = call.from; block < call.to; block++) {
      const at = ground.place('/f', block)!
      const shared = ground.volume.core.shares.find(at)
      assert.equal(shared, block < from || block >= to, `${what}: block ${block} shared`)
    }
  }
  const returned =
    own &&
    where === 'overlap' &&
    contractSays(call.row, columnOf(kind), { share: cell.share, writeSealed: false }) === 'recall'
  if (!returned) return trial.assertHeld(places)
  const left = infoOf(ground, held.id)?.ranges ?? []
  const kept = [
    [from, Math.min(to, call.from)],
    [Math.max(from, call.to), to],
  ].filter(([a, b]) => a! < b!)
  const wanted = kept.map(([a, b]) => ({ offset: a! * B, length: (b! - a!) * B }))
  assert.deepEqual(left, wanted, `${what}: what is left of the own lease`)
}

/** Blocks that left the file are where they were, with their bytes, and nobody else's. */
function assertDeferred(
  trial: Trial,
  places: readonly number[],
  mediated: ReadonlyMap<number, Uint8Array>,
): void {
  const { cell, ground, held, what } = trial
  const [from, to] = heldBlocks(cell)!
  const gone = Math.min(to, cell.call.to) - Math.max(from, cell.call.from)
  assert.equal(ground.limbo, gone, `${what}: blocks in limbo`)
  assert.deepEqual(placesOf(ground, held!.id), places, `${what}: blocks of the hold`)
  const info = infoOf(ground, held!.id)!
  const left = (to - from - gone) * B
  assert.equal(info.state, left === 0 ? 'deferred' : 'held', what)
  assert.equal(
    info.ranges.reduce((sum, { length }) => sum + length, 0),
    left,
    `${what}: ranges of the file`,
  )
  assert.equal(info.bytes, (to - from) * B, `${what}: bytes of the hold`)
  const owned = new Set<number>()
  for (const path of ['/f', '/g']) {
    for (const { regionBlock, count } of ground.volume.extents(path).extents) {
      for (let i = 0; i < count; i++) owned.add(regionBlock + i)
    }
  }
  assert.equal(places.filter((block) => !owned.has(block)).length, gone, `${what}: owned blocks`)
  for (const [block, bytes] of mediated) {
    if (owned.has(block)) continue
    assertBytes(ground.bytesAt(block), bytes, `${what}: block ${block} through the hold`)
    assert.equal(ground.volume.core.allocator.freeIn(block, block + 1), 0, what)
    // Still writable through the hold, and no file shows it.
    ground.storeAt(block * B, new Uint8Array(B).fill(0xda))
  }
  trial.assertContents()
}

export { CALLS }
