/**
 * Cases: sticky directories, with every combination of who owns the directory, who owns what is in
 * it, and who asks; and directories that are not sticky beside them.
 */
import type { PosixCase } from './posix.js'
import { USERS, type UserName } from './steps.js'

const OWNERS = ['root', 'owner', 'other'] as const
const ASKING = ['root', 'owner', 'member', 'other'] as const

/** Takes a name away, gives it another, or has another in its place. */
const CALLS: Readonly<Record<string, (at: string) => string>> = {
  unlink: (at) => `unlink ${at}/f`,
  rmdir: (at) => `rmdir ${at}/d`,
  'rename away': (at) => `rename ${at}/f /free/f`,
  'rename inside': (at) => `rename ${at}/f ${at}/g`,
  'rename of a directory': (at) => `rename ${at}/d ${at}/e`,
  'rename over': (at) => `rename /free/mine ${at}/f`,
  exchange: (at) => `rename /free/mine ${at}/f exchange`,
  'exchange, the other way': (at) => `rename ${at}/f /free/mine exchange`,
}

const own = (path: string, user: UserName) => `root chown ${path} ${USERS[user].uid} 1001`

/** A directory with a file and a directory in it, and a file of who asks elsewhere. */
function places(directory: UserName, inside: UserName, asks: UserName, mode: string): string {
  return [
    'root mkdir /t 777',
    'root open 0 /t/f rw,creat 666',
    'root mkdir /t/d 777',
    ...['/t/f', '/t/d'].map((path) => own(path, inside)),
    own('/t', directory),
    `root chmod /t ${mode}`,
    'root mkdir /free 777',
    'root chmod /free 777',
    `root open 0 /free/mine rw,creat 666`,
    own('/free/mine', asks),
  ].join('\n')
}

const CLEAN = ['unlink /t/f', 'unlink /t/g', 'rmdir /t/d', 'rmdir /t/e', 'rmdir /t']
const FREE = ['unlink /free/f', 'unlink /free/mine', 'rmdir /free']

/** Whether a line stands for what is left when all has been tried: each may be there or not. */
function cleaned(made: boolean, call: string): string[] {
  const gone: Readonly<Record<string, readonly string[]>> = {
    unlink: ['unlink /t/f', 'unlink /t/g', 'rmdir /t/e', 'unlink /free/f'],
    rmdir: ['rmdir /t/d', 'unlink /t/g', 'rmdir /t/e', 'unlink /free/f'],
    'rename away': ['unlink /t/f', 'unlink /t/g', 'rmdir /t/e'],
    'rename inside': ['unlink /t/f', 'rmdir /t/e', 'unlink /free/f'],
    'rename of a directory': ['rmdir /t/d', 'unlink /t/g', 'unlink /free/f'],
    'rename over': ['unlink /t/g', 'rmdir /t/e', 'unlink /free/f', 'unlink /free/mine'],
  }
  const nothing = ['unlink /t/g', 'rmdir /t/e', 'unlink /free/f']
  const without = made ? (gone[call] ?? nothing) : nothing
  return [...CLEAN, ...FREE].filter((line) => !without.includes(line))
}

function caseOf(name: string): PosixCase {
  const lines: string[] = []
  for (const directory of OWNERS) {
    for (const inside of OWNERS) {
      for (const asks of ASKING) {
        const allowed = [directory, inside, 'root'].includes(asks)
        lines.push(places(directory, inside, asks, '1777'))
        lines.push(`${asks} ${CALLS[name]!('/t')}${allowed ? '' : ' = EPERM'}`)
        lines.push(...cleaned(allowed, name).map((line) => `root ${line}`))
      }
    }
  }
  return { name: `sticky directories, whoever owns what: ${name}`, steps: lines.join('\n') }
}

export const stickyCases: PosixCase[] = [
  ...Object.keys(CALLS).map(caseOf),
  {
    name: 'a directory that is not sticky is for all who may write it, whoever owns what',
    steps: Object.entries(CALLS)
      .flatMap(([name, call]) => [
        places('root', 'owner', 'other', '777'),
        `other ${call('/t')}`,
        ...cleaned(true, name).map((line) => `root ${line}`),
      ])
      .join('\n'),
  },
  {
    name: 'a sticky directory that others may not write is EACCES to them, and EPERM to none',
    steps: `
      ${places('owner', 'owner', 'other', '1755')}
      other unlink /t/f = EACCES
      other rmdir /t/d = EACCES
      other rename /t/f /free/f = EACCES
      other rename /free/mine /t/f = EACCES
      other rename /free/mine /t/f exchange = EACCES
      other open 1 /t/new rw,creat 644 = EACCES
      owner unlink /t/f
      owner rmdir /t/d
    `,
  },
  {
    name: 'in a sticky directory everybody makes names, and links what he may',
    steps: `
      ${places('root', 'owner', 'other', '1777')}
      other open 1 /t/mine rw,creat 600
      member mkdir /t/sub 700
      named symlink f /t/link
      member mknod /t/fifo 10600 0
      owner link /t/f /t/name
      other unlink /t/mine
      member rmdir /t/sub
      other unlink /t/link = EPERM
      named unlink /t/link
      other rename /t/fifo /t/pipe = EPERM
      member rename /t/fifo /t/pipe
      other unlink /t/name = EPERM
      other chmod /t 777 = EPERM
      owner unlink /t/name
    `,
  },
]
