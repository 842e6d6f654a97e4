/**
 * The floor: bytes over node:net, nothing else. A `get` is a stream from the server, a `put` one to
 * it, each of all the round's bytes; with one outstanding it is a ping-pong instead, 64 bytes there
 * and the object back (or the object there and 64 bytes back), for its latency.
 */
import { once } from 'node:events'
import { createServer } from 'node:net'
import { native } from '../../src/native/native.js'
import { End, HEADER_BYTES, type RawForm } from './raw_stream.js'
import { AREA_BYTES, same, slotsOf, stamp, type Round, type Worker } from './work.js'

const REQUEST_BYTES = 64
const Verb = { get: 1, put: 2, getEach: 3, putEach: 4, check: 5 } as const

/** Whether what came can be looked at afterwards. */
const placed = (form: RawForm): boolean =>
  form.receive === 'in place' || form.treat === 'copied with CRC32C'

/** The server: listens for each form, gives the ports. */
export async function serveRaw(forms: readonly RawForm[], content: Buffer): Promise<number[]> {
  const destination = Buffer.alloc(AREA_BYTES)
  const ports: number[] = []
  for (const form of forms) {
    const server = createServer({ pauseOnConnect: true, noDelay: true }, (socket) => {
      serveConnection(new End(form, destination, socket), form, content)
    })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    ports.push((server.address() as { port: number }).port)
  }
  return ports
}

function serveConnection(end: End, form: RawForm, content: Buffer): void {
  const reply = Buffer.alloc(REQUEST_BYTES)
  const next = () => end.expect('header', HEADER_BYTES, command)
  const command = () => {
    const verb = end.header.readUInt8(0)
    const bytes = end.header.readUInt32LE(4)
    const count = end.header.readUInt32LE(8)
    const area = bytes * slotsOf(bytes)
    if (verb === Verb.get) {
      next()
      end.pump(content, area, bytes * count)
    } else if (verb === Verb.put) {
      end.crc = 0
      end.expect('object', bytes * count, () => {
        next()
        end.write(reply)
      })
    } else if (verb === Verb.check) {
      next()
      end.write(checkReply(end, form, area))
    } else {
      let done = 0
      const object = content.subarray(0, bytes)
      const [expected, answer] = verb === Verb.getEach ? [REQUEST_BYTES, object] : [bytes, reply]
      const ping = () => {
        if (++done === count) next()
        else end.expect('object', expected, ping)
        end.write(answer)
      }
      end.expect('object', expected, ping)
    }
  }
  end.onClose(() => end.close())
  next()
}

/** The checksums of all that came, and of what is in the destination. */
function checkReply(end: End, form: RawForm, area: number): Buffer {
  const reply = Buffer.alloc(REQUEST_BYTES)
  reply.writeUInt32LE(end.crc, 0)
  if (placed(form)) reply.writeUInt32LE(native.crc32cOf(end.destination, 0, area, 0), 4)
  return reply
}

/** A client with a connection for each form. */
export class RawClient implements Worker {
  readonly #forms: readonly RawForm[]
  readonly #ends: readonly End[]
  readonly #destination: Buffer
  readonly #fixed: Buffer
  readonly #source: Buffer
  #form: RawForm
  #end: End
  #rounds = 0

  private constructor(forms: readonly RawForm[], ends: readonly End[], content: Buffer) {
    this.#forms = forms
    this.#ends = ends
    this.#form = forms[0]!
    this.#end = ends[0]!
    this.#destination = ends[0]!.destination
    this.#fixed = content
    this.#source = Buffer.from(content)
  }

  static async connect(
    forms: readonly RawForm[],
    ports: readonly number[],
    content: Buffer,
  ): Promise<RawClient> {
    const destination = Buffer.alloc(AREA_BYTES)
    const ends = forms.map((form, i) => new End(form, destination, ports[i]!))
    for (const end of ends) await end.connected()
    for (const end of ends) end.onClose(() => {})
    return new RawClient(forms, ends, content)
  }

  async prepare({ operation, bytes, form = 0 }: Round): Promise<void> {
    this.#form = this.#forms[form]!
    this.#end = this.#ends[form]!
    if (operation === 'get') this.#destination.fill(0)
    else stamp(this.#source, bytes, ++this.#rounds)
    this.#end.crc = 0
  }

  async run(round: Round, each: Float64Array): Promise<boolean> {
    const { operation, bytes, outstanding, count } = round
    const end = this.#end
    if (outstanding === 1) {
      await this.#pingPong(round, each)
      return true
    }
    await new Promise<void>((resolve) => {
      end.expect('object', operation === 'get' ? bytes * count : REQUEST_BYTES, resolve)
      end.write(command(operation === 'get' ? Verb.get : Verb.put, bytes, count))
      if (operation === 'put') end.pump(this.#source, bytes * slotsOf(bytes), bytes * count)
    })
    return false
  }

  #pingPong({ operation, bytes, count }: Round, each: Float64Array): Promise<void> {
    const end = this.#end
    const get = operation === 'get'
    const sent = get ? Buffer.alloc(REQUEST_BYTES) : this.#source.subarray(0, bytes)
    const expected = get ? bytes : REQUEST_BYTES
    return new Promise<void>((resolve) => {
      let done = 0
      let start = performance.now()
      const pong = () => {
        const now = performance.now()
        each[done++] = (now - start) * 1e6
        if (done === count) return resolve()
        start = now
        end.expect('object', expected, pong)
        end.write(sent)
      }
      end.expect('object', expected, pong)
      end.write(command(get ? Verb.getEach : Verb.putEach, bytes, count))
      end.write(sent)
    })
  }

  /** What was dropped cannot be compared: its bytes were counted. */
  async verify(round: Round): Promise<void> {
    const { operation, bytes, outstanding, count } = round
    if (outstanding === 1 || !placed(this.#form)) return
    const slots = slotsOf(bytes)
    const checked = this.#form.treat === 'copied with CRC32C'
    if (operation === 'get') {
      same(this.#destination, this.#fixed, bytes, Math.min(count, slots))
      if (checked) equal(this.#end.crc, streamCrc(this.#fixed, bytes, count))
      return
    }
    if (count < slots) throw new Error(`${count} objects do not fill the area of ${slots}`)
    await new Promise<void>((resolve) => {
      this.#end.expect('header', REQUEST_BYTES, resolve)
      this.#end.write(command(Verb.check, bytes, count))
    })
    const { header } = this.#end
    equal(header.readUInt32LE(4), native.crc32cOf(this.#source, 0, bytes * slots, 0))
    if (checked) equal(header.readUInt32LE(0), streamCrc(this.#source, bytes, count))
  }

  async close(): Promise<void> {
    for (const end of this.#ends) end.close()
  }
}

function command(verb: number, bytes: number, count: number): Buffer {
  const header = Buffer.alloc(HEADER_BYTES)
  header.writeUInt8(verb, 0)
  header.writeUInt32LE(bytes, 4)
  header.writeUInt32LE(count, 8)
  return header
}

function streamCrc(content: Buffer, bytes: number, count: number): number {
  const slots = slotsOf(bytes)
  let crc = 0
  for (let left = count; left > 0; left -= slots) {
    crc = native.crc32cOf(content, 0, Math.min(left, slots) * bytes, crc)
  }
  return crc
}

function equal(found: number, expected: number): void {
  if (found !== expected) throw new Error(`CRC32C ${found} of what came, ${expected} expected`)
}
