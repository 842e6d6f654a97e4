/**
 * Messages, each as a line: from the work that was posted, and from what tshark shows of the frames
 * that carried it. The two meet without our parsers.
 */
import { Opcode } from '../../src/rdma/wire/ddp.js'
import type { Work } from '../../src/rdma/work.js'
import { hexOf } from '../rdma/frames.js'
import { brief, type Facts } from './facts.js'

const NAMES = new Map(Object.entries(Opcode).map(([name, opcode]) => [String(opcode), name]))
const ALL_ONES = (1n << 64n) - 1n

/** What work sends: one line a message. */
export function meantBy(work: Work, content: boolean): string[] {
  const said = (bytes: Uint8Array) => brief(hexOf(bytes), content)
  const bytes = 'local' in work && work.local instanceof Uint8Array ? work.local : new Uint8Array(0)
  const place = 'remote' in work ? `${work.remote.stag} ${work.remote.address}` : ''
  const solicited = 'solicited' in work && work.solicited === true
  switch (work.op) {
    case 'write':
      return [`write ${place} ${said(bytes)}`]
    case 'send': {
      const name = `send${solicited ? 'Solicited' : ''}${work.invalidate ? 'Invalidate' : ''}`
      return [`${name} ${work.invalidate ?? 0} ${said(bytes)}`]
    }
    case 'writeImmediate':
    case 'immediate': {
      const name = solicited ? 'immediateSolicited' : 'immediate'
      return [...(work.op === 'immediate' ? [] : [`write ${place} ${said(bytes)}`]), name]
    }
    case 'read':
      return [`readRequest ${place} ${bytes.length}`]
    case 'fetchAdd':
      return [`atomicRequest ${place} 0 ${work.add} 0 0 0`]
    case 'compareSwap': {
      const { swap, swapMask = ALL_ONES, compare, compareMask = ALL_ONES } = work
      return [`atomicRequest ${place} 2 ${swap} ${swapMask} ${compare} ${compareMask}`]
    }
    case 'localInvalidate':
      return []
  }
}

/** The same lines from what was shown; without Writes of nothing to nowhere: nobody posted them. */
export function messagesShown(frames: readonly Facts[], content: boolean): string[] {
  const lines: string[] = []
  let begun: Facts | null = null
  let payload = ''
  for (const frame of frames) {
    begun ??= frame
    payload += frame['payload'] ?? ''
    if (frame['last'] !== '1') continue
    const line = lineOf(begun, brief(payload, content))
    if (line !== null && !/^write 1 0 (0 bytes)?$/.test(line)) lines.push(line)
    begun = null
    payload = ''
  }
  return lines
}

function lineOf(facts: Facts, payload: string): string | null {
  const name = NAMES.get(facts['opcode'] ?? '')
  const of = (...fields: string[]) => [name, ...fields.map((field) => facts[field])].join(' ')
  switch (name) {
    case 'write':
      return `${of('stag', 'to')} ${payload}`
    case 'send':
    case 'sendSolicited':
      return `${name} 0 ${payload}`
    case 'sendInvalidate':
    case 'sendSolicitedInvalidate':
      return `${of('invalidateStag')} ${payload}`
    case 'immediate':
    case 'immediateSolicited':
      return name
    case 'readRequest':
      return of('r.sourceStag', 'r.sourceTo', 'r.length')
    case 'atomicRequest':
      return of('r.stag', 'r.to', 'r.operation', 'r.data', 'r.mask', 'r.compare', 'r.compareMask')
    default:
      return null
  }
}
