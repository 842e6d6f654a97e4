/** Keys as text: what is taken, and what a message says of what is not. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { HoldfastError } from '../../src/base/errors.js'
import {
  formatKey,
  formatSecret,
  KEYS_MAX,
  parseKeys,
  parseServerKeys,
} from '../../src/control/keys.js'

const SECRET = Buffer.from(Uint8Array.from({ length: 32 }, (_, i) => 200 - i))
const S = SECRET.toString('base64url')
const LONG = Buffer.concat([SECRET, SECRET, Buffer.of(1)]).toString('base64url')

test('a line has id, secret, rights in any order, and a comment', () => {
  const text = `
# a file with keys
laptop ${S} uid=1000 gid=100 groups=27,4000000000 rw # Ada's # 2
  reader\t${S}   ro gid=0  uid=0   \r
plain ${S} uid=1 gid=2 groups= ro #
`
  const keys = [...parseServerKeys(text, 'keys').values()]
  assert.deepEqual(
    keys.map(({ id, identity, comment, line }) => [id, identity, comment, line]),
    [
      ['laptop', { uid: 1000, gid: 100, groups: [27, 4e9], readOnly: false }, "Ada's # 2", 3],
      ['reader', { uid: 0, gid: 0, groups: [], readOnly: true }, '', 4],
      ['plain', { uid: 1, gid: 2, groups: [], readOnly: true }, '', 5],
    ],
  )
  for (const { secret } of keys) assert.equal(Buffer.compare(secret, SECRET), 0)
})

test('what is written is what is read', () => {
  for (const identity of [
    { uid: 1000, gid: 100, groups: [], readOnly: true },
    { uid: 0, gid: 0, groups: [1, 2, 3], readOnly: false },
  ]) {
    for (const comment of ['', 'a comment # with a sign']) {
      const key = { id: 'a.b_c@d-e', secret: new Uint8Array(SECRET), identity, comment }
      const [found] = parseServerKeys(formatKey(key), 'keys').values()
      assert.deepEqual(found, { ...key, line: 1 })
    }
  }
})

test('a client needs id and secret alone; a server says what is missing', () => {
  const text = formatSecret({ id: 'laptop', secret: SECRET })
  assert.equal(parseKeys(text, 'keys').get('laptop')!.identity, null)
  assert.throws(() => parseServerKeys(text, 'keys'), {
    code: 'EINVAL',
    message: /line 1 of .*whose rights it has; add uid=N gid=N and ro or rw, 'keys'/,
  })
})

const rights = 'uid=1 gid=1 rw'

for (const [what, line, pattern] of [
  ['an id with a space in its name', `-x ${S} ${rights}`, /an id has 1 to 64 letters/],
  ['an id that is too long', `${'x'.repeat(65)} ${S} ${rights}`, /an id has 1 to 64 letters/],
  ['no secret', 'laptop', /the secret after the id is missing; `holdfast keys make`/],
  ['a short secret', `laptop ${S.slice(0, 20)} ${rights}`, /has 15 bytes; 16 to 64 random/],
  ['a long secret', `laptop ${LONG} ${rights}`, /has 65 bytes; 16 to 64 random/],
  ['a secret with padding', `laptop ${S}= ${rights}`, /not base64url without padding/],
  ['a secret in plain base64', `laptop ${S.slice(0, -3)}a+/ ${rights}`, /not base64url/],
  ['a secret with bits left over', `laptop ${S.slice(0, -1)}5 ${rights}`, /not base64url/],
  ['a secret of zeros', `laptop ${'A'.repeat(43)} ${rights}`, /the secret is not random/],
  ['no uid', `laptop ${S} gid=1 rw`, /it lacks uid=N/],
  ['no gid', `laptop ${S} uid=1 rw`, /it lacks gid=N/],
  ['neither ro nor rw', `laptop ${S} uid=1 gid=1`, /it lacks ro \(may only read\) or rw/],
  ['two uids', `laptop ${S} ${rights} uid=2`, /uid= is there twice/],
  ['ro and rw', `laptop ${S} ${rights} ro`, /ro or rw is there twice/],
  ['a uid that is none', `laptop ${S} uid=-1 gid=1 rw`, /uid= takes numbers from 0 to 4294967294/],
  ['a uid beyond the last', `laptop ${S} uid=4294967295 gid=1 rw`, /uid= takes numbers/],
  ['a group that is none', `laptop ${S} ${rights} groups=1,,2`, /groups= takes numbers/],
  ['too many groups', `laptop ${S} ${rights} groups=${'1,'.repeat(1024)}1`, /at most 1024/],
  ['a field that is none', `laptop ${S} ${rights} sudo`, /field 6 is none of uid=N/],
  ['a comment without a space', `laptop ${S}#x`, /a comment has a space before its #/],
  [
    'an id twice',
    `a ${S} ro\nlaptop ${S} ${rights}`,
    /line 2 has it too; give one of them another/,
  ],
] as const) {
  test(`${what} is refused, with the line and a remedy, and without the secret`, () => {
    const first = what === 'an id twice' ? `laptop ${S}\n` : '# a comment\n'
    const text = what === 'an id twice' ? `\n${first}laptop ${S} ${rights}\n` : `${first}${line}\n`
    const error = caught(() => parseServerKeys(text, '/etc/keys'))
    assert.equal(error.code, 'EINVAL')
    assert.match(error.message, pattern)
    assert.match(error.message, what === 'an id twice' ? /line 3 / : /line 2 /)
    assert.match(error.message, /, '\/etc\/keys'$/)
    assert.ok(!error.message.includes(S.slice(0, 8)), error.message)
  })
}

test('a secret that is cut in two is not shown by the message', () => {
  const error = caught(() => parseKeys(`laptop ${S.slice(0, 24)} ${S.slice(24)}`, 'keys'))
  assert.match(error.message, /field 3 is none of/)
  assert.ok(!error.message.includes(S.slice(24, 30)), error.message)
})

test('there is a bound to the number of keys', () => {
  const lines = Array.from({ length: KEYS_MAX + 1 }, (_, i) => `k${i} ${S}`)
  assert.equal(parseKeys(lines.slice(1).join('\n'), 'keys').size, KEYS_MAX)
  assert.match(caught(() => parseKeys(lines.join('\n'), 'keys')).message, /at most 65536 keys/)
})

test('a long line is read as fast as it is long', () => {
  const started = performance.now()
  for (const bad of [' '.repeat(200_000), `a${' '.repeat(200_000)}b`, '#'.repeat(200_000)]) {
    try {
      parseKeys(bad, 'keys')
    } catch (error) {
      assert.ok(error instanceof HoldfastError)
    }
  }
  assert.ok(performance.now() - started < 10_000)
})

function caught(run: () => unknown): HoldfastError {
  try {
    run()
  } catch (error) {
    assert.ok(error instanceof HoldfastError)
    return error
  }
  throw new Error('nothing was thrown')
}
