/**
 * Every verb and notice, as docs/PROTOCOL.md says it and as the code reads and writes it: messages
 * are made of what the document says.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { HoldfastError } from '../../src/base/errors.js'
import { Prng } from '../../src/base/prng.js'
import { MESSAGE_BYTES_MAX } from '../../src/control/limits.js'
import {
  Kind,
  readCallHead,
  readNotice,
  readResult,
  writeCallHead,
  writeFailure,
  writeReply,
} from '../../src/control/message.js'
import { NOTICES } from '../../src/control/notices.js'
import type { Schema } from '../../src/control/schema.js'
import { credentials } from '../../src/control/types.js'
import { VERBS } from '../../src/control/verbs/index.js'
import { XdrReader, XdrWriter } from '../../src/control/xdr.js'
import { LONG, seed } from '../rdma/random.js'
import { Encoder, ProtocolDocument, type Type } from './xdr_language.js'

const document = new ProtocolDocument()
const { language } = document
const random = new Prng(seed)
const VALUES = 12 * LONG
const EPROTO = (error: unknown) => error instanceof HoldfastError && error.code === 'EPROTO'

test(`SEED=${seed}`, () => {})

interface Said {
  readonly name: string
  readonly schema: Schema<unknown>
  readonly type: Type
}

const said: Said[] = [
  ...Object.values(VERBS).flatMap(({ title, args, result }) => {
    const verb = document.verb(title)
    return [
      { name: `arguments of ${title}`, schema: args as Schema<unknown>, type: verb.args },
      { name: `result of ${title}`, schema: result as Schema<unknown>, type: verb.result },
    ]
  }),
  ...Object.values(NOTICES).map(({ title, body }) => ({
    name: `notice ${title}`,
    schema: body as Schema<unknown>,
    type: document.notices.find((one) => one.title === title)!.body,
  })),
]

const encode = (type: Type) => {
  const out = new Encoder()
  language.encode(type, language.generate(type, random), out)
  return out
}

function readAll(schema: Schema<unknown>, bytes: Uint8Array): unknown {
  const from = new XdrReader(bytes)
  const value = schema.read(from)
  from.end()
  return value
}

function written(schema: Schema<unknown>, value: unknown): Uint8Array {
  const out = new XdrWriter(4)
  schema.write(out, value)
  return out.bytes
}

test('the document has every verb and notice with its number, each number once', () => {
  const numbers = (all: readonly { number: number; title: string }[]) =>
    all.map(({ number, title }) => `${number} ${title}`).sort()
  assert.deepEqual(numbers(document.verbs), numbers(Object.values(VERBS)))
  assert.deepEqual(numbers(document.notices), numbers(Object.values(NOTICES)))
  for (const all of [document.verbs, document.notices]) {
    assert.equal(new Set(all.map(({ number }) => number)).size, all.length)
    assert.equal(new Set(all.map(({ title }) => title)).size, all.length)
  }
})

test('what the document says is read, and written the same', () => {
  for (const { name, schema, type } of said) {
    for (let i = 0; i < VALUES; i++) {
      const bytes = encode(type).all
      const again = written(schema, readAll(schema, bytes))
      assert.equal(Buffer.compare(again, bytes), 0, name)
    }
  }
})

test('a message that is cut anywhere, or has anything behind it, is malformed', () => {
  for (const { name, schema, type } of said) {
    for (let i = 0; i < 2; i++) {
      const bytes = encode(type).all
      const step = Math.max(1, Math.floor(bytes.length / 300))
      for (let length = 0; length < bytes.length; length += step) {
        assert.throws(() => readAll(schema, bytes.subarray(0, length)), EPROTO, name)
      }
      const more = Buffer.concat([bytes, Buffer.alloc(random.pick([1, 3, 4, 8]))])
      assert.throws(() => readAll(schema, more), EPROTO, name)
    }
  }
})

test('a message with any word changed is read and written the same, or malformed', () => {
  let refused = 0
  for (const { name, schema, type } of said) {
    for (let i = 0; i < VALUES; i++) {
      const out = encode(type)
      const bytes = out.all
      const at = random.pick(out.places)
      if (bytes.length === 0 || at >= bytes.length) continue
      new DataView(bytes.buffer).setUint32(
        at,
        random.pick([random.next(), 2, 1 << 21, 0xffff_ffff, 0x8000_0000]),
      )
      let value: unknown
      try {
        value = readAll(schema, bytes)
      } catch (error) {
        assert.ok(EPROTO(error), `${name}: ${String(error)}`)
        refused++
        continue
      }
      assert.equal(Buffer.compare(written(schema, value), bytes), 0, name)
    }
  }
  assert.ok(refused > said.length, 'many of them are malformed')
})

test('calls, their replies and failures have the heads that the document says', () => {
  const head = language.type('call')
  for (let i = 0; i < 50; i++) {
    const value = language.generate(head, random, (field) =>
      field === 'limit' ? random.below(3_600_001) : undefined,
    ) as Record<string, number | null>
    const out = new Encoder()
    out.word(Kind.call)
    language.encode(head, value, out)
    const from = new XdrReader(out.all)
    assert.equal(from.u32(), Kind.call)
    const call = readCallHead(from, from.u32())
    from.end()
    const { id, limit, verb } = value
    assert.deepEqual([call.id, call.limit, call.verb], [id, limit, verb])
    const again = new XdrWriter()
    writeCallHead(again, call.id, call.limit, call.as, call.verb)
    assert.deepEqual(Buffer.from(again.bytes), Buffer.from(out.all))
  }
  const out = new XdrWriter()
  writeReply(out, 7, credentials, { uid: 1, gid: 2, groups: [3], umask: 0o22 })
  assert.deepEqual([...new Uint32Array(out.bytes.slice().buffer)].length, 3 + 6)
})

test('a call that may take longer than an hour is malformed', () => {
  const out = new XdrWriter()
  writeCallHead(out, 1, 3_600_001, undefined, 0)
  const from = new XdrReader(out.bytes)
  from.u32()
  from.u32()
  assert.throws(() => readCallHead(from, 1), EPROTO)
})

test('a failure arrives as the error that it was, with what is in the way', () => {
  const holds = [
    {
      id: 9,
      kind: 'lease' as const,
      iomode: 'rw' as const,
      ino: 12,
      ranges: [{ offset: 0, length: 4096 }],
      owner: { session: 3, name: 'reader', uid: 1000 },
      reason: 'upload',
      since: 1_700_000_000_000,
      deadline: 17,
      state: 'recalled' as const,
      bytes: 4096,
      deleted: true,
    },
  ]
  const error = new HoldfastError('EBUSY', 'in the way', { path: '/a', syscall: 'truncate', holds })
  const out = new XdrWriter()
  writeFailure(out, 5, error)
  const from = new XdrReader(out.bytes)
  assert.deepEqual([from.u32(), from.u32()], [Kind.reply, 5])
  assert.throws(() => readResult(from, credentials), {
    code: 'EBUSY',
    detail: 'in the way',
    path: '/a',
    syscall: 'truncate',
    holds,
  })
})

test('an errno that nobody knows is EIO, a notice that nobody knows is passed over', () => {
  const failure = language.type('failure')
  const out = new Encoder()
  out.word(1)
  language.encode(
    failure,
    language.generate(failure, random, (field) => (field === 'errno' ? 4094 : undefined)),
    out,
  )
  assert.throws(() => readResult(new XdrReader(out.all), credentials), { code: 'EIO' })
  const notice = new Encoder()
  notice.word(4094)
  notice.word(1)
  assert.equal(readNotice(new XdrReader(notice.all)), null)
})

test('every notice and every failure fits into a message, whatever it says', () => {
  const most = (name: string, type: Type) => {
    const bytes = language.most(type)
    assert.ok(bytes <= MESSAGE_BYTES_MAX - 16, `${name} may have ${bytes} bytes`)
  }
  for (const { title, body } of document.notices) most(title, body)
  most('a failure', language.type('failure'))
  // What else may list as much as there is: what carries it out keeps to a message.
  const lists = ['READDIR', 'LISTXATTR', 'SUMMARY']
  for (const { title, args, result } of document.verbs) {
    if (!lists.includes(title)) most(`the result of ${title}`, result)
    most(`the arguments of ${title}`, args)
  }
})
