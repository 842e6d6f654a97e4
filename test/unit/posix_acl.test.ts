import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { formatAcl, mergeAcl, parseAcl, withMask, withoutEntries } from '../../src/base/acl_text.js'
import type { ErrorCode } from '../../src/base/errors.js'
import type { Credentials } from '../../src/base/filesystem.js'
import {
  aclChmod,
  aclCreate,
  aclEquivalentMode,
  aclFromMode,
  aclPermits,
  decodeAcl,
  encodeAcl,
  GROUP,
  GROUP_OBJ,
  inGroup,
  invalidAcl,
  isMinimalAcl,
  MASK,
  modePermits,
  OTHER,
  USER,
  USER_OBJ,
  type Acl,
  type AclEntry,
} from '../../src/base/posix_acl.js'
import { seeded } from './support.js'

const acl = (text: string): Acl => parseAcl(text).access

/** An ACL of tags alone, as `U u G g M O`: each allows all. */
function ofTags(tags: string): Acl {
  const known: Record<string, number> = {
    U: USER_OBJ,
    u: USER,
    G: GROUP_OBJ,
    g: GROUP,
    M: MASK,
    O: OTHER,
  }
  return [...tags].map((letter) => ({ tag: known[letter] ?? 0x40, perm: 7, id: 5 }))
}

describe('an ACL is valid', () => {
  for (const tags of ['UGO', 'UGMO', 'UuGMO', 'UuuuGMO', 'UGgMO', 'UGggMO', 'UuuGggMO']) {
    test(`as ${tags}`, () => assert.equal(invalidAcl(ofTags(tags)), null))
  }
  const refused = {
    'when it is empty': '',
    'without the owner': 'GO',
    'without the group': 'UO',
    'without the others': 'UG',
    'with a mask and without the others': 'UuGM',
    'with a named user and without a mask': 'UuGO',
    'with a named group and without a mask': 'UGgO',
    'with two owners': 'UUGO',
    'with two groups': 'UGGO',
    'with two masks': 'UGMMO',
    'with two others': 'UGOO',
    'with a user after the group': 'UGuMO',
    'with a group before the owning one': 'UgGMO',
    'with a mask before the group': 'UMGO',
    'with a group after the mask': 'UGMgO',
    'with others before the mask': 'UGOM',
    'with something after the others': 'UGMOu',
    'with a tag that is none': 'UG?O',
    'with named entries alone': 'ug',
  }
  for (const [what, tags] of Object.entries(refused)) {
    test(`but not ${what}`, () => assert.equal(typeof invalidAcl(ofTags(tags)), 'string'))
  }

  test('with every permission up to 7, and none beyond', () => {
    for (let perm = 0; perm < 16; perm++) {
      const one = aclFromMode(0o644).map((e) => (e.tag === GROUP_OBJ ? { ...e, perm } : e))
      assert.equal(invalidAcl(one) === null, perm <= 7, `permission ${perm}`)
    }
  })

  test('in every order of up to six tags just when the rules in words say so', () => {
    const letters = ['U', 'u', 'G', 'g', 'M', 'O']
    let valid = 0
    for (let n = 0; n < 7 ** 6; n++) {
      let tags = ''
      for (let rest = n; rest > 0; rest = Math.floor(rest / 7))
        tags += letters[(rest % 7) - 1] ?? ''
      const ordered = /^Uu*Gg*M?O$/.test(tags) && (/M/.test(tags) || !/[ug]/.test(tags))
      assert.equal(invalidAcl(ofTags(tags)) === null, ordered, tags)
      if (ordered) valid++
    }
    assert.ok(valid >= 10)
  })
})

describe('the bytes of an ACL', () => {
  // Set on a file in tmpfs with setxattr(2), Linux 6.18, and read again with getxattr(2).
  const HEX =
    '02000000' +
    '01000600ffffffff' +
    '02000400e8030000' +
    '04000400ffffffff' +
    '080007000a000000' +
    '10000700ffffffff' +
    '20000000ffffffff'
  const TEXT = 'u::rw-,u:1000:r--,g::r--,g:10:rwx,m::rwx,o::---'

  test('are those that Linux has', () => {
    const found = decodeAcl(Buffer.from(HEX, 'hex'))
    assert.equal(formatAcl(found!), TEXT)
    assert.equal(Buffer.from(encodeAcl(acl(TEXT))).toString('hex'), HEX)
  })

  test('are read where they stand in a larger buffer', () => {
    const bytes = Buffer.concat([Buffer.alloc(3, 0xee), Buffer.from(HEX, 'hex'), Buffer.of(0xee)])
    assert.equal(formatAcl(decodeAcl(bytes.subarray(3, -1))!), TEXT)
  })

  test('without entries take an ACL away', () => {
    assert.equal(decodeAcl(Uint8Array.of(2, 0, 0, 0)), null)
  })

  test('come back as they were, whatever it is', (t) => {
    const prng = seeded(t)
    for (let i = 0; i < 2000; i++) {
      const one = randomAcl(prng.below(1 << 30))
      assert.deepEqual(decodeAcl(encodeAcl(one)), one)
      assert.deepEqual(acl(formatAcl(one)), one)
    }
  })

  const refused: Record<string, [string, ErrorCode]> = {
    'no bytes': ['', 'EINVAL'],
    'three bytes': ['020000', 'EINVAL'],
    'half an entry': ['0200000001000600', 'EINVAL'],
    'an entry and a byte': [`${HEX}00`, 'EINVAL'],
    'version 1': [`01${HEX.slice(2)}`, 'EOPNOTSUPP'],
    'a version in the other order': [`00000002${HEX.slice(8)}`, 'EOPNOTSUPP'],
    'a tag that is none': [HEX.replace('20000000ffffffff', '40000000ffffffff'), 'EINVAL'],
    'permissions past 7': [HEX.replace('10000700', '10000800'), 'EINVAL'],
    'a named user without an id': [HEX.replace('e8030000', 'ffffffff'), 'EINVAL'],
    'a missing mask': [HEX.replace('10000700ffffffff', ''), 'EINVAL'],
  }
  for (const [what, [hex, code]] of Object.entries(refused)) {
    test(`of ${what} are refused with ${code}`, () => {
      assert.throws(() => decodeAcl(Buffer.from(hex, 'hex')), { name: 'HoldfastError', code })
    })
  }

  test('may name one user twice, as Linux lets them; the first entry decides', () => {
    const twice = HEX.replace('02000400e8030000', '02000400e803000002000700e8030000')
    const found = decodeAcl(Buffer.from(twice, 'hex'))!
    assert.equal(found.length, 7)
    assert.equal(aclPermits(found, 0, 0, { uid: 1000, gid: 1 }, 4), true)
    assert.equal(aclPermits(found, 0, 0, { uid: 1000, gid: 1 }, 2), false)
  })

  test('leave out of account the id of an entry that has none', () => {
    const found = decodeAcl(Buffer.from(HEX.replace('01000600ffffffff', '0100060007000000'), 'hex'))
    assert.equal(formatAcl(found!), TEXT)
  })
})

describe('an ACL as text', () => {
  test('is read in its long and short forms, in any order', () => {
    const long = `# file: x
      user::rw-     # the owner
      group:10:rwx
      other::---
      mask::rwx
      user:1000:4
      group::r

      default:user::7, default:group::rx,
      d:other:0
    `
    const { access, default: defaults } = parseAcl(long)
    assert.equal(formatAcl(access), 'u::rw-,u:1000:r--,g::r--,g:10:rwx,m::rwx,o::---')
    assert.equal(formatAcl(defaults, 'd:'), 'd:u::rwx,d:g::r-x,d:o::---')
    assert.deepEqual(parseAcl('m:rw,o:x').access, acl('m::rw-,o::--x'))
  })

  for (const bad of [
    'x::rw-',
    'u',
    'u:rw-',
    'u::rw-:',
    'u::',
    'u::rwq',
    'u::rr',
    'u::8',
    'u::77',
    'u::rwx-',
    'u:root:rw-',
    'u:-1:rw-',
    'u:4294967295:rw-',
    'u:99999999999:r',
    'm:5:rw-',
    'o:5:rw-',
    'u::r,u::w',
    'u:5:r,u:5:w',
    'd:u:5:r,d:u:5:w',
    'd:d:u::r',
    'toString::r',
  ]) {
    test(`is refused as '${bad}'`, () => {
      assert.throws(() => parseAcl(bad), { name: 'HoldfastError', code: 'EINVAL' })
    })
  }

  test('names an access and a default entry for the same user without a quarrel', () => {
    const both = parseAcl('u:5:r,d:u:5:w')
    assert.equal(formatAcl(both.access), 'u:5:r--')
    assert.equal(formatAcl(both.default), 'u:5:-w-')
  })

  test('changes, drops and masks entries as setfacl does', () => {
    const first = acl('u::rwx,g::r-x,o::r--')
    const more = mergeAcl(first, acl('u:1000:rw-,g::---'))
    assert.equal(formatAcl(more), 'u::rwx,u:1000:rw-,g::---,o::r--')
    assert.notEqual(invalidAcl(more), null)
    assert.equal(formatAcl(withMask(more)), 'u::rwx,u:1000:rw-,g::---,m::rw-,o::r--')
    assert.equal(invalidAcl(withMask(more)), null)
    const tight = mergeAcl(withMask(more), acl('m::---'))
    assert.equal(formatAcl(withMask(tight)), formatAcl(withMask(more)))
    const less = withMask(withoutEntries(tight, acl('u:1000:0')))
    assert.equal(formatAcl(less), 'u::rwx,g::---,o::r--')
  })
})

/** Valid, of up to 11 entries with ids 0 to 5, so that entries and callers often meet. */
function randomAcl(n: number): Acl {
  let rest = n
  const below = (bound: number): number => {
    rest = (Math.imul(rest, 1103515245) + 12345) >>> 0
    return (rest >>> 8) % bound
  }
  const one = (tag: number): AclEntry => ({ tag, perm: below(8), id: 0xffff_ffff })
  const named = (tag: number): AclEntry[] =>
    [0, 1, 2, 3, 4, 5].filter(() => below(4) === 0).map((id) => ({ tag, perm: below(8), id }))
  const users = named(USER)
  const groups = named(GROUP)
  const mask = users.length + groups.length > 0 || below(3) === 0 ? [one(MASK)] : []
  return [one(USER_OBJ), ...users, one(GROUP_OBJ), ...groups, ...mask, one(OTHER)]
}

/** The access check algorithm in the words of acl(5), apart from the code. */
function permitsByTheBook(a: Acl, uid: number, gid: number, as: Credentials, want: number) {
  const all = (perm: number) => (perm & want) === want
  const find = (tag: number) => a.find((e) => e.tag === tag)
  const mask = find(MASK)?.perm ?? 7
  if (as.uid === uid) return all(find(USER_OBJ)!.perm)
  const user = a.find((e) => e.tag === USER && e.id === as.uid)
  if (user !== undefined) return all(user.perm & mask)
  const mine = new Set([as.gid, ...(as.groups ?? [])])
  const groups = a.filter(
    (e) => (e.tag === GROUP_OBJ && mine.has(gid)) || (e.tag === GROUP && mine.has(e.id)),
  )
  if (groups.length > 0) return groups.some((e) => all(e.perm & mask))
  return all(find(OTHER)!.perm)
}

describe('an ACL permits', () => {
  const text = 'u::rwx,u:1:rw-,u:2:---,g::r-x,g:20:-w-,g:21:r--,m::rw-,o::--x'
  const cases: [string, Credentials, string][] = [
    ['the owner what its entry says, past the mask', { uid: 9, gid: 0 }, 'rwx'],
    ['a named user its entry under the mask', { uid: 1, gid: 0 }, 'rw-'],
    ['a named user nothing of what its groups may', { uid: 2, gid: 10, groups: [20] }, '---'],
    ['the group its entry under the mask', { uid: 3, gid: 10 }, 'r--'],
    ['the group by a supplementary id', { uid: 3, gid: 4, groups: [5, 10] }, 'r--'],
    ['a named group its entry', { uid: 3, gid: 20 }, '-w-'],
    ['a member of two groups each of theirs', { uid: 3, gid: 20, groups: [21] }, 'rw-'],
    ['others their entry, past the mask', { uid: 3, gid: 4 }, '--x'],
    ['members of a group not what others may', { uid: 3, gid: 21 }, 'r--'],
  ]
  for (const [what, as, expected] of cases) {
    test(what, () => {
      const found = [4, 2, 1].map((want) => aclPermits(acl(text), 9, 10, as, want))
      assert.equal(found.map((may, i) => (may ? 'rwx'[i] : '-')).join(''), expected)
    })
  }

  test('two groups do not permit together what neither does', () => {
    const as = { uid: 3, gid: 20, groups: [21] }
    assert.equal(aclPermits(acl(text), 9, 10, as, 6), false)
    assert.equal(aclPermits(acl('u::0,g::6,o::0'), 9, 10, { uid: 1, gid: 10 }, 6), true)
  })

  test('wanting nothing is permitted to everybody', () => {
    for (const as of [
      { uid: 9, gid: 0 },
      { uid: 1, gid: 10 },
      { uid: 1, gid: 1 },
    ]) {
      assert.equal(aclPermits(acl('u::0,g::0,o::0'), 9, 10, as, 0), true)
    }
  })

  test('what acl(5) says, for every caller and every wish', (t) => {
    const prng = seeded(t)
    for (let i = 0; i < 3000; i++) {
      const one = randomAcl(prng.below(1 << 30))
      const uid = prng.below(6)
      const gid = prng.below(6)
      const groups = Array.from({ length: prng.below(4) }, () => prng.below(6))
      const as = { uid: prng.below(6), gid: prng.below(6), groups }
      for (let want = 0; want < 8; want++) {
        assert.equal(
          aclPermits(one, uid, gid, as, want),
          permitsByTheBook(one, uid, gid, as, want),
          `${formatAcl(one)} of ${uid}:${gid}, ${JSON.stringify(as)} wants ${want}`,
        )
      }
    }
  })

  test('the same as the mode where it is minimal', () => {
    for (let mode = 0; mode < 0o1000; mode++) {
      for (const as of [
        { uid: 9, gid: 0 },
        { uid: 1, gid: 10 },
        { uid: 1, gid: 1, groups: [10] },
        { uid: 1, gid: 1 },
      ]) {
        for (let want = 1; want < 8; want++) {
          const plain = modePermits(mode, null, 9, 10, as, want)
          assert.equal(aclPermits(aclFromMode(mode), 9, 10, as, want), plain)
          assert.equal(modePermits(mode, aclFromMode(mode), 9, 10, as, want), plain)
        }
      }
    }
  })

  test('nothing to whom it names when the mask is empty, who then are as others are', () => {
    const one = acl('u::rw-,u:1:rwx,g::rwx,m::---,o::r--')
    const mode = aclEquivalentMode(one)
    assert.equal(aclPermits(one, 9, 10, { uid: 1, gid: 1 }, 4), false)
    assert.equal(modePermits(mode, one, 9, 10, { uid: 1, gid: 1 }, 4), true)
    assert.equal(modePermits(mode, one, 9, 10, { uid: 1, gid: 10 }, 4), false)
  })

  test('in groups: the first and the supplementary ones', () => {
    assert.equal(inGroup({ uid: 0, gid: 5 }, 5), true)
    assert.equal(inGroup({ uid: 5, gid: 6 }, 5), false)
    assert.equal(inGroup({ uid: 0, gid: 6, groups: [7, 5] }, 5), true)
    assert.equal(inGroup({ uid: 0, gid: 6, groups: [] }, 5), false)
  })
})

describe('an ACL and the mode', () => {
  test('of nine bits are the same thing', () => {
    for (let mode = 0; mode < 0o1000; mode++) {
      const one = aclFromMode(mode)
      assert.equal(invalidAcl(one), null)
      assert.equal(isMinimalAcl(one), true)
      assert.equal(aclEquivalentMode(one), mode)
      assert.equal(aclEquivalentMode(aclFromMode(0o107000 | mode)), mode)
    }
  })

  test('show the mask as the bits of the group', () => {
    assert.equal(aclEquivalentMode(acl('u::7,u:5:7,g::5,m::2,o::1')), 0o721)
    assert.equal(aclEquivalentMode(acl('u::7,g::5,m::0,o::1')), 0o701)
    assert.equal(isMinimalAcl(acl('u::7,g::5,m::5,o::1')), false)
  })

  test('chmod sets owner, others and the mask, and the group where there is no mask', () => {
    const named = acl('u::7,u:5:6,g::5,g:6:4,m::7,o::1')
    assert.equal(formatAcl(aclChmod(named, 0o102)), 'u::--x,u:5:rw-,g::r-x,g:6:r--,m::---,o::-w-')
    assert.equal(formatAcl(named), 'u::rwx,u:5:rw-,g::r-x,g:6:r--,m::rwx,o::--x')
    assert.equal(formatAcl(aclChmod(acl('u::7,g::5,o::1'), 0o6640)), 'u::rw-,g::r--,o::---')
  })

  test('chmod shows the mode that it was given, for any ACL', (t) => {
    const prng = seeded(t)
    for (let i = 0; i < 2000; i++) {
      const mode = prng.below(0o1000)
      const after = aclChmod(randomAcl(prng.below(1 << 30)), mode)
      assert.equal(invalidAcl(after), null)
      assert.equal(aclEquivalentMode(after), mode)
    }
  })
})

describe('a new file under a default ACL', () => {
  const cases: [string, number, number, string | null][] = [
    // default ACL, mode asked for, mode that it gets, access ACL
    ['u::7,g::5,o::0', 0o666, 0o640, null],
    ['u::7,g::5,o::5', 0o100777, 0o100755, null],
    ['u::5,g::7,o::7', 0o7222, 0o7022, null],
    ['u::7,u:5:7,g::5,m::7,o::0', 0o666, 0o660, 'u::rw-,u:5:rwx,g::r-x,m::rw-,o::---'],
    ['u::7,u:5:7,g::7,m::5,o::7', 0o777, 0o757, 'u::rwx,u:5:rwx,g::rwx,m::r-x,o::rwx'],
    ['u::7,g::7,m::5,o::7', 0o600, 0o600, 'u::rw-,g::rwx,m::---,o::---'],
    ['u::7,g::5,g:8:7,m::7,o::1', 0o42755, 0o42751, 'u::rwx,g::r-x,g:8:rwx,m::r-x,o::--x'],
  ]
  for (const [given, mode, expected, access] of cases) {
    test(`${given} made with 0${mode.toString(8)} gets 0${expected.toString(8)}`, () => {
      const made = aclCreate(acl(given), mode)
      assert.equal(made.mode, expected)
      assert.equal(made.access === null ? null : formatAcl(made.access), access)
      if (made.access !== null) assert.equal(aclEquivalentMode(made.access), expected & 0o777)
    })
  }
})
