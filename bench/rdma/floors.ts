/**
 * The forms that node:net has for the floors of `bench -- rdma`: all are tried, the fastest ones
 * take part in the rounds that count.
 */
import type { Place } from './content.js'
import { nodeServer, Pair } from './pair.js'
import { formName, type RawForm } from './raw_stream.js'
import { perByte, takeTurns } from './rounds.js'
import type { Round } from './work.js'

const KIB = 1024
const MIB = 1024 * KIB

type Receiving = Pick<RawForm, 'receive' | 'buffer'>

const RECEIVING: readonly Receiving[] = [
  { receive: 'data', buffer: 0 },
  { receive: 'onread', buffer: 64 * KIB },
  { receive: 'onread', buffer: 256 * KIB },
  { receive: 'onread', buffer: MIB },
  { receive: 'in place', buffer: 256 * KIB },
  { receive: 'in place', buffer: MIB },
]

const SENDING: readonly Pick<RawForm, 'write' | 'ahead'>[] = [
  { write: 64 * KIB, ahead: 1 },
  { write: MIB, ahead: 1 },
  { write: MIB, ahead: 4 },
]

/** For messages that fit into any buffer. */
export const PING_FORMS: readonly RawForm[] = [
  { receive: 'data', buffer: 0, write: 64 * KIB, ahead: 1, treat: 'dropped' },
  { receive: 'onread', buffer: 64 * KIB, write: 64 * KIB, ahead: 1, treat: 'dropped' },
]

const TRIALS = 4
const BEST = 3

export interface Tried {
  readonly form: RawForm
  /** Gigabytes a second of its fastest round: noise only takes away. */
  readonly speed: number
}

/** Every form of that treatment in turn, the fastest first. */
export async function tryForms(
  place: Place,
  treat: RawForm['treat'],
  round: Round,
): Promise<Tried[]> {
  const forms = RECEIVING.flatMap((receiving) =>
    SENDING.map((sending): RawForm => ({ ...receiving, ...sending, treat })),
  )
  const pair = await rawPair(place, forms)
  const sides = forms.map((form, i) => ({
    name: formName(form),
    pair,
    round: { ...round, form: i },
  }))
  const found = await takeTurns(sides, { rounds: TRIALS, warmUp: 1, patience: 0 })
  await pair.end()
  return forms
    .map((form, i) => ({ form, speed: 1 / Math.min(...found[i]!.map(perByte)) }))
    .sort((a, b) => b.speed - a.speed)
}

/** Those that take part in the rounds that count. */
export const bestOf = (tried: readonly Tried[]): RawForm[] =>
  tried.slice(0, BEST).map(({ form }) => form)

export async function rawPair({ content }: Place, forms: readonly RawForm[]): Promise<Pair> {
  const job = { kind: 'raw', content, options: forms }
  const server = await nodeServer(job)
  return Pair.start('node:net', server, () => Pair.nodeClient({ ...job, place: server.place }))
}
