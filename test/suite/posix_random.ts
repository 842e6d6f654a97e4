/** Lines of steps at random: every call, as several users, on few names, so that they meet. */
import type { Prng } from '../../src/base/prng.js'
import { USERS, type UserName } from './steps.js'

const NAMES = ['a', 'b', 'd', 'e', 's']
const PATHS = [
  ...NAMES.map((name) => `/${name}`),
  ...NAMES.map((name) => `/d/${name}`),
  ...['a', 'd', 's'].map((name) => `/d/e/${name}`),
  '/e/a',
  '/e/d',
  '/s/a',
  '/s/d',
]
const ODD = [
  '/',
  '/.',
  '/..',
  '/d/',
  '/d/.',
  '/d/..',
  '/a/',
  '/s/',
  '/a/x',
  '/d/e/..',
  '/s/../a',
  'a',
  "''",
  '/{x*255}',
  '/{x*256}',
  '//d//a',
  '/d/../a/',
  '/none/a',
]
const TARGETS = ['a', '/a', 'd', '/d', '../a', '/d/e', 's', '/none', '.', '/d/', 'a/']
const MODES = ['777', '755', '700', '644', '600', '666', '000', '070', '007', '750', '711', '4755']
const MORE_MODES = ['2755', '2745', '1777', '6777', '2777', '3775', '2644', '4711']
const IDS = ['0', '1001', '1002', '1003', '-1', '1001', '-1']
const OPENS = ['r', 'w', 'rw', 'rw,creat', 'w,creat,excl', 'rw,creat,trunc', 'rw,trunc', 'w,append']
const MORE_OPENS = ['r,directory', 'r,nofollow', 'rw,tmpfile', 'rw,creat,nofollow', 'r,noatime']
const ACLS = [
  'u::7,u:1004:7,g::5,m::7,o::0',
  'u::6,u:1003:4,g::6,m::4,o::4',
  'u::7,g::0,g:1001:7,m::5,o::5',
  'u::7,g::5,o::5',
  'u::0,u:1002:7,g::7,m::0,o::7',
  'u::7,u:1003:0,g::7,g:1002:2,m::7,o::7',
]
const ATTRIBUTES = ['user.one', 'user.two', 'trusted.t', 'security.s', 'user.', 'bad', 'system.x']
const SIZES = ['0', '1', '100', '4095', '4096', '4097', '8192', '12288', '20000', '65536']
const SHIFTS = ['0', '4096', '8192', '16384', '100', '5000']

type Make = (r: Random) => string

/** What a line takes from chance. */
class Random {
  readonly prng: Prng

  constructor(prng: Prng) {
    this.prng = prng
  }

  get path(): string {
    return this.prng.pick(this.prng.chance(1, 8) ? ODD : PATHS)
  }

  get slot(): number {
    return this.prng.below(3)
  }

  get mode(): string {
    return this.prng.pick(this.prng.chance(1, 3) ? MORE_MODES : MODES)
  }

  get id(): string {
    return this.prng.pick(IDS)
  }

  get time(): string {
    return this.prng.pick(['now', 'omit', '5.5', '1700000000', 'now'])
  }

  get kind(): string {
    return this.prng.pick(['access', 'access', 'default'])
  }

  of(list: readonly string[]): string {
    return this.prng.pick(list)
  }
}

/** Each as often as it stands here. */
const LINES: readonly Make[] = [
  (r) => `open ${r.slot} ${r.path} ${r.of(r.prng.chance(1, 3) ? MORE_OPENS : OPENS)} ${r.mode}`,
  (r) => `open ${r.slot} ${r.path} ${r.of(OPENS)} ${r.mode}`,
  (r) => `open ${r.slot} ${r.path} rw,creat ${r.mode}`,
  (r) => `close ${r.slot}`,
  (r) => `write ${r.slot} {w*${r.of(SIZES)}} ${r.prng.chance(1, 2) ? '-' : r.of(SHIFTS)}`,
  (r) => `write ${r.slot} some ${r.of(SHIFTS)}`,
  (r) => `read ${r.slot} 9000 ${r.prng.chance(1, 2) ? '-' : r.of(SHIFTS)}`,
  (r) => `ftruncate ${r.slot} ${r.of(SIZES)}`,
  (r) => `truncate ${r.path} ${r.of(SIZES)}`,
  (r) => `mkdir ${r.path} ${r.mode}`,
  (r) => `mkdir ${r.path} ${r.mode}`,
  (r) => `rmdir ${r.path}`,
  (r) => `unlink ${r.path}`,
  (r) => `rename ${r.path} ${r.path}`,
  (r) => `rename ${r.path} ${r.path} ${r.of(['noreplace', 'exchange', 'exchange', 'both'])}`,
  (r) => `link ${r.path} ${r.path} ${r.prng.chance(1, 2) ? 'follow' : ''}`,
  (r) => `linkfd ${r.slot} ${r.path}`,
  (r) => `symlink ${r.of(TARGETS)} ${r.path}`,
  (r) => `readlink ${r.path}`,
  (r) => `mknod ${r.path} ${r.of(['10644', '140600', '20666', '60600', '100640', '40755'])} 259`,
  (r) => `chmod ${r.path} ${r.mode}`,
  (r) => `chmod ${r.path} ${r.mode}`,
  (r) => `fchmod ${r.slot} ${r.mode}`,
  (r) => `chown ${r.path} ${r.id} ${r.id}`,
  (r) => `lchown ${r.path} ${r.id} ${r.id}`,
  (r) => `fchown ${r.slot} ${r.id} ${r.id}`,
  (r) => `${r.of(['utimes', 'lutimes'])} ${r.path} ${r.time} ${r.time}`,
  (r) => `futimes ${r.slot} ${r.time} ${r.time}`,
  (r) => `stat ${r.path} mode,nlink,uid,gid,rdev`,
  (r) => `access ${r.path} ${r.prng.below(8)}`,
  (r) => `getxattr ${r.path} ${r.of(ATTRIBUTES)}`,
  (r) => `setxattr ${r.path} ${r.of(ATTRIBUTES)} val ${r.of(['', '', 'create', 'replace'])}`,
  (r) => `lsetxattr ${r.path} ${r.of(ATTRIBUTES)} val`,
  (r) => `removexattr ${r.path} ${r.of(ATTRIBUTES)}`,
  (r) => `listxattr ${r.path}`,
  (r) => `setacl ${r.path} ${r.kind} ${r.of(ACLS)}`,
  (r) => `setacl ${r.path} ${r.kind} ${r.of(ACLS)}`,
  (r) => `getacl ${r.path} ${r.kind}`,
  (r) => `rmacl ${r.path} ${r.kind}`,
  (r) => `readdir ${r.path}`,
  (r) =>
    `fallocate ${r.slot} ${r.of(['grow', 'keep', 'punch', 'zero'])} ${r.of(SHIFTS)} ${r.of(SIZES)}`,
  (r) =>
    `fallocate ${r.slot} ${r.of(['collapse', 'insert', 'zerokeep'])} ${r.of(SHIFTS)} ${r.of(SIZES)}`,
  (r) => `seek ${r.slot} ${r.of(SHIFTS)} ${r.of(['data', 'hole'])}`,
  (r) => `copy ${r.slot} ${r.of(SHIFTS)} ${r.slot} ${r.of(SHIFTS)} ${r.of(SIZES)}`,
  (r) => `chattr ${r.path} ${r.of(['+a', '+i', '-a', '-i', '-i', '-a'])}`,
]

const PEOPLE = Object.keys(USERS) as UserName[]

export function randomLine(prng: Prng): string {
  const user = prng.chance(1, 3) ? 'root' : prng.pick(PEOPLE)
  return `${user} ${prng.pick(LINES)(new Random(prng))}`.trim()
}

/** What there can be, to look at it. */
export const EVERYTHING: readonly string[] = ['/', ...PATHS]

/** A tree to begin with, in which everybody can do something. */
export const FIRST = [
  'root chmod / 777',
  'owner mkdir /d 777',
  'owner mkdir /d/e 775',
  'other mkdir /e 755',
  'owner open 0 /a rw,creat 664',
  'owner write 0 content -',
]
