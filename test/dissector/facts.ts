/**
 * Facts of a frame under names of our own: from what tshark shows, and from what the parsers of
 * production and the declared headers say. Where both agree on each of them, neither is alone in
 * what it thinks.
 */
import { createHash } from 'node:crypto'
import { Segment } from '../../src/rdma/segment.js'
import {
  AtomicRequest,
  AtomicResponse,
  Opcode,
  ReadRequest,
  TaggedHeader,
  UntaggedHeader,
} from '../../src/rdma/wire/ddp.js'
import type { MpaSetup } from '../../src/rdma/wire/mpa.js'
import { encodeMpa, MpaFlag, MpaFrame } from '../../src/rdma/wire/mpa.js'
import { decodeTerminate, TerminateBit, TerminateControl } from '../../src/rdma/wire/terminate.js'
import { decodeHeader, fieldsOf, hexOf, NOTHING } from '../rdma/frames.js'
import type { Dissected } from './tshark.js'

export type Facts = Readonly<Record<string, string>>

const number = (value: number | bigint | string) => String(BigInt(value))

/** Opcodes whose payload is the program's. */
const CARRIES: readonly Opcode[] = [
  Opcode.write,
  Opcode.readResponse,
  Opcode.send,
  Opcode.sendInvalidate,
  Opcode.sendSolicited,
  Opcode.sendSolicitedInvalidate,
]
const INVALIDATES: readonly Opcode[] = [Opcode.sendInvalidate, Opcode.sendSolicitedInvalidate]

// ---- ours --------------------------------------------------------------------------------------

export function factsOfSetup(setup: MpaSetup): Facts {
  const bytes = encodeMpa(setup)
  const flags = bytes[MpaFrame.at.flags]!
  return {
    kind: setup.kind,
    markers: setup.markers ? '1' : '0',
    crc: setup.crc ? '1' : '0',
    reject: setup.reject ? '1' : '0',
    reserved: number(flags & (MpaFlag.enhanced | MpaFlag.large)),
    revision: number(setup.revision),
    length: number(bytes.length - MpaFrame.size),
    data: hexOf(bytes.subarray(MpaFrame.size)),
  }
}

/** Bytes in words of a reasonable length, so that failures can be read; or how many they are. */
export function brief(hex: string, content = true): string {
  if (!content) return `${hex.length / 2} bytes`
  if (hex.length <= 64) return hex
  const digest = createHash('sha256').update(hex).digest('hex').slice(0, 16)
  return `${hex.slice(0, 16)}… ${hex.length / 2} bytes, ${digest}`
}

/** What a side said, frame by frame, as they come. */
export class Listener {
  readonly #crc: boolean
  /** Of a Send of several segments. */
  #gathered = ''

  constructor(crc: boolean) {
    this.#crc = crc
  }

  /** `markers`: what each of them says, in bytes. */
  hear(ulpdu: Uint8Array, markers: readonly number[]): Facts {
    const segment = new Segment()
    segment.read(ulpdu, 0, ulpdu.length)
    const facts = factsOfFrame(ulpdu, segment, this.#crc, markers)
    if (segment.tagged || facts['payload'] === undefined) return facts
    // Of a Send tshark shows the bytes when it has all of them.
    const payload = this.#gathered + facts['payload']
    this.#gathered = segment.last ? '' : payload
    return { ...facts, payload: segment.last ? payload : '' }
  }
}

/** `crc`: whether there is one. `markers`: what each of them says, in bytes. */
function factsOfFrame(
  ulpdu: Uint8Array,
  segment: Segment,
  crc: boolean,
  markers: readonly number[],
): Facts {
  const { opcode, payload = NOTHING } = fieldsOf(segment)
  const facts: Record<string, string> = {
    ulpdu: number(ulpdu.length),
    crc: crc ? 'good' : 'none',
    markers: markers.join(),
    opcode: number(opcode),
    last: segment.last ? '1' : '0',
    versions: '1 1',
    reserved: '0 0',
  }
  const header = segment.tagged
    ? decodeHeader(TaggedHeader, ulpdu)
    : decodeHeader(UntaggedHeader, ulpdu)
  for (const [name, value] of Object.entries(header)) {
    if (!['ddp', 'rdmap', 'invalidateStag'].includes(name)) facts[name] = number(value)
  }
  if (INVALIDATES.includes(opcode)) facts['invalidateStag'] = number(segment.invalidateStag)
  if (CARRIES.includes(opcode)) facts['payload'] = hexOf(payload)
  return { ...facts, ...factsOfPayload(opcode, payload) }
}

function factsOfPayload(opcode: Opcode, payload: Uint8Array): Facts {
  const all = (values: Readonly<Record<string, number | bigint>>): Facts =>
    Object.fromEntries(Object.entries(values).map(([name, value]) => [`r.${name}`, number(value)]))
  if (opcode === Opcode.readRequest) return all(decodeHeader(ReadRequest, payload))
  if (opcode === Opcode.atomicRequest) return all(decodeHeader(AtomicRequest, payload))
  if (opcode === Opcode.atomicResponse) return all(decodeHeader(AtomicResponse, payload))
  if (opcode !== Opcode.terminate) return {}
  const { error, blamed } = decodeTerminate(payload, true)
  const { headers } = decodeHeader(TerminateControl, payload)
  const rdmap = (Number(headers) & TerminateBit.rdmap) !== 0
  // How long the DDP header is it tells from the type of the error, which is not enough.
  const header = error[1] === 1 ? TaggedHeader.size : UntaggedHeader.size
  return {
    'r.error': error.join(' '),
    'r.headers': number(headers),
    'r.length': blamed.length === 0 ? '' : hexOf(payload.subarray(4, 6)),
    'r.ddp': hexOf(blamed.subarray(0, header)),
    'r.rdmap': rdmap ? hexOf(blamed.subarray(header, header + ReadRequest.size)) : '',
  }
}

// ---- tshark's ----------------------------------------------------------------------------------

class Shown {
  readonly #fields: Dissected['fields']

  constructor({ fields }: Dissected) {
    this.#fields = fields
  }

  has(name: string): boolean {
    return this.#fields.has(name)
  }

  all(name: string): readonly string[] {
    return this.#fields.get(name) ?? []
  }

  text(name: string): string {
    return this.all(name)[0] ?? ''
  }

  number(name: string): string {
    return number(this.text(name))
  }

  bytes(name: string): string {
    return this.all(name).join('').replaceAll(':', '')
  }
}

export function factsShown(dissected: Dissected): Facts {
  const shown = new Shown(dissected)
  return dissected.kind === 'frame' ? frameShown(shown) : setupShown(shown, dissected.kind)
}

function setupShown(shown: Shown, kind: string): Facts {
  return {
    kind,
    markers: shown.text('mpa.marker_flag'),
    crc: shown.text('mpa.crc_flag'),
    reject: shown.text('mpa.rej_flag'),
    reserved: shown.number('mpa.res'),
    revision: shown.number('mpa.rev'),
    length: shown.number('mpa.pdlength'),
    data: shown.bytes('mpa.privatedata'),
  }
}

function crcShown(shown: Shown): string {
  if (shown.has('mpa.crc')) return 'none'
  return shown.text('mpa.crc_check').includes('(Good CRC32)') ? 'good' : 'bad'
}

function frameShown(shown: Shown): Facts {
  const opcode = Number(shown.text('rdma.opcode')) as Opcode
  const facts: Record<string, string> = {
    ulpdu: shown.number('mpa.ulpdulength'),
    crc: crcShown(shown),
    markers: shown.all('mpa.marker_fpduptr').map(number).join(),
    opcode: number(opcode),
    last: shown.text('ddp.last_flag'),
    versions: `${shown.text('ddp.dv')} ${shown.text('rdma.version')}`,
    reserved: `${shown.number('ddp.rsvd')} ${shown.number('rdma.rsv')}`,
  }
  if (shown.text('ddp.tagged_flag') === '1') {
    facts['stag'] = shown.number('ddp.stag')
    facts['to'] = shown.number('ddp.tagged_offset')
  } else {
    for (const name of ['qn', 'msn', 'mo']) facts[name] = shown.number(`ddp.${name}`)
  }
  if (INVALIDATES.includes(opcode)) facts['invalidateStag'] = shown.number('rdma.inval_stag')
  if (CARRIES.includes(opcode)) facts['payload'] = shown.bytes('data.data')
  return { ...facts, ...payloadShown(opcode, shown) }
}

function payloadShown(opcode: Opcode, shown: Shown): Facts {
  const of = (names: Readonly<Record<string, string>>): Facts =>
    Object.fromEntries(
      Object.entries(names).map(([ours, its]) => [`r.${ours}`, shown.number(`rdma.${its}`)]),
    )
  switch (opcode) {
    case Opcode.readRequest:
      return of({
        sinkStag: 'sinkstag',
        sinkTo: 'sinkto',
        length: 'rdmardsz',
        sourceStag: 'srcstag',
        sourceTo: 'srcto',
      })
    case Opcode.atomicRequest: {
      const add = shown.has('rdma.atomic.add_data')
      return of({
        operation: 'atomic.opcode',
        requestId: 'atomic.request_identifier',
        stag: 'atomic.remote_stag',
        to: 'atomic.remote_tagged_offset',
        data: add ? 'atomic.add_data' : 'atomic.swap_data',
        mask: add ? 'atomic.add_mask' : 'atomic.swap_mask',
        compare: 'atomic.compare_data',
        compareMask: 'atomic.compare_mask',
      })
    }
    case Opcode.atomicResponse:
      return of({
        requestId: 'atomic.original_request_identifier',
        original: 'atomic.original_remote_data_value',
      })
    case Opcode.terminate:
      return terminateShown(shown)
    default:
      return {}
  }
}

const LAYERS = ['rdma', 'ddp', 'llp'] as const

function terminateShown(shown: Shown): Facts {
  const layer = Number(shown.text('rdma.term_layer'))
  const name = LAYERS[layer]!
  const type = shown.number(`rdma.term_etype_${name}`)
  const suffix = layer !== 1 ? name : type === '1' ? 'ddp_tagged' : 'ddp_untagged'
  const code = shown.has(`rdma.term_errcode_${suffix}`) ? suffix : ''
  const bits = ['rdma.term_hdrct_m', 'rdma.hdrct_d', 'rdma.hdrct_r'].map((bit) => shown.text(bit))
  return {
    'r.error': [layer, type, shown.number(`rdma.term_errcode${code && `_${code}`}`)].join(' '),
    'r.headers': number(parseInt(bits.join(''), 2) << 13),
    'r.length': shown.bytes('rdma.term_ddp_seg_len'),
    'r.ddp': shown.bytes('rdma.term_ddp_h'),
    'r.rdmap': shown.bytes('rdma.term_rdma_h'),
  }
}
