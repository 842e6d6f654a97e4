/** What tshark makes of a capture: its dissector of iWARP has nothing in common with ours. */
import { execFileSync, spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { whoseIs, type Side } from './pcap_writer.js'

/** A Request, a Reply or a frame. */
export interface Dissected {
  readonly connection: number
  readonly from: Side
  readonly kind: 'request' | 'reply' | 'frame'
  /** By tshark's names without 'iwarp_'; what they show, of each with that name. */
  readonly fields: ReadonlyMap<string, readonly string[]>
}

export interface Dissection {
  readonly frames: readonly Dissected[]
  /** Everything that tshark finds odd. */
  readonly complaints: readonly string[]
}

/** It takes payloads for these, whatever they are, and then finds them malformed. */
const DISABLED = ['rpcordma', 'smb_direct']

/**
 * Of any connection; and of MPA, of which it knows the first RFC alone (5044): revision 2 and its
 * flag S it finds odd.
 */
const EXPECTED = [
  /^Connection (establish|finish)/,
  /^This frame (initiates|undergoes) the connection closing/,
  /^Res field is NOT set to zero as required by RFC 5044/,
  /^Rev field is NOT set to one as required by RFC 5044/,
  /^Reject bit set by Responder/,
]

/** Why tshark cannot be asked, for a skip; null: it can. */
export function missing(): string | null {
  const found = spawnSync('tshark', ['--version'], { stdio: 'ignore' })
  return found.status === 0 ? null : 'no tshark'
}

export function dissect(capture: Uint8Array): Dissection {
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-dissector-'))
  try {
    const file = join(folder, 'capture.pcap')
    writeFileSync(file, capture)
    const disabled = DISABLED.flatMap((name) => ['--disable-protocol', name])
    const pdml = execFileSync('tshark', ['-r', file, ...disabled, '-T', 'pdml'], {
      encoding: 'utf8',
      maxBuffer: 1 << 28,
      stdio: ['ignore', 'pipe', 'ignore'],
    })
    return readPdml(pdml)
  } finally {
    rmSync(folder, { recursive: true })
  }
}

const KINDS: Readonly<Record<string, Dissected['kind']>> = {
  'iwarp_mpa.req': 'request',
  'iwarp_mpa.rep': 'reply',
  'iwarp_mpa.fpdu': 'frame',
}

const FIELD = /<(?:field|proto) name="([^"]*)"([^>]*)>/g
const WANTED = /^(iwarp_|_ws\.|data\.data$)/
const SHOW = / show="([^"]*)"/
const SHOW_NAME = / showname="([^"]*)"/

/** Fields in the order in which they stand: those behind the beginning of a frame are its own. */
function readPdml(pdml: string): Dissection {
  const frames: Dissected[] = []
  const complaints: string[] = []
  for (const [number, packet] of pdml.split('<packet>').slice(1).entries()) {
    const source = Number(/name="tcp\.srcport"[^>]* show="(\d+)"/.exec(packet)![1])
    let fields: Map<string, string[]> | null = null
    for (const [, name, rest] of packet.matchAll(FIELD)) {
      if (!WANTED.test(name!)) continue
      const shown = SHOW.exec(rest!)?.[1] ?? ''
      const kind = KINDS[name!]
      if (kind !== undefined) {
        fields = new Map()
        frames.push({ ...whoseIs(source), kind, fields })
      }
      if (name === '_ws.malformed') complaints.push(`packet ${number + 1}: malformed`)
      if (name === '_ws.expert.message' && !EXPECTED.some((odd) => odd.test(shown))) {
        complaints.push(`packet ${number + 1}: ${shown}`)
      }
      const key = /^(?:iwarp_)?(.*)$/.exec(name!)![1]!
      // What it says of a CRC stands in what is shown to people.
      const value = key === 'mpa.crc_check' ? SHOW_NAME.exec(rest!)![1]! : shown
      const before = fields?.get(key)
      if (before === undefined) fields?.set(key, [value])
      else before.push(value)
    }
  }
  return { frames, complaints }
}
