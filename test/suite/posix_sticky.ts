/**
 * Cases: sticky directories, with every combination of who owns the directory, who owns what is in
 * it, and who asks; and directories that are not sticky beside them.
 */
import type { PosixCase } from './posix.js'
import { USERS, type UserName } from './steps.js'

const OWNERS = ['root', 'owner', 'other'] as const
const ASKING = ['root', 'owner', 'member', 'other'] as const

/** Takes a name away, gives it another, or has another in its place; and what undoes that. */
const CALLS: Readonly<Record<string, readonly [string, ...string[]]>> = {
  unlink: ['unlink /t/f', 'open 0 /t/f rw,creat 666'],
  rmdir: ['rmdir /t/d', 'mkdir /t/d 777'],
  'rename away': ['rename /t/f /free/f', 'rename /free/f /t/f'],
  'rename inside': ['rename /t/f /t/g', 'rename /t/g /t/f'],
  'rename of a directory': ['rename /t/d /t/e', 'rename /t/e /t/d'],
  'rename over': ['rename /free/mine /t/f', 'open 0 /free/mine rw,creat 666'],
  exchange: ['rename /free/mine /t/f exchange'],
  'exchange, the other way': ['rename /t/f /free/mine exchange'],
}

const own = (path: string, user: UserName) => `root chown ${path} ${USERS[user].uid} 1001`

/** Whose the directory is, what is in it, and a file elsewhere of who asks. */
const owned = (directory: UserName, inside: UserName, asks: UserName) =>
  [own('/t', directory), own('/t/f', inside), own('/t/d', inside), own('/free/mine', asks)].join(
    '\n',
  )

const places = (mode: string) => `
  root mkdir /t ${mode}
  root open 0 /t/f rw,creat 666
  root mkdir /t/d 777
  root mkdir /free 777
  root open 0 /free/mine rw,creat 666
`

function caseOf([name, [line, ...undone]]: [string, readonly [string, ...string[]]]): PosixCase {
  const lines = [places('1777')]
  for (const directory of OWNERS) {
    for (const inside of OWNERS) {
      for (const asks of ASKING) {
        lines.push(owned(directory, inside, asks))
        const allowed = [directory, inside, 'root'].includes(asks)
        if (allowed) lines.push(`${asks} ${line}`, ...undone.map((one) => `root ${one}`))
        else lines.push(`${asks} ${line} = EPERM`)
      }
    }
  }
  return { name: `sticky directories, whoever owns what: ${name}`, steps: lines.join('\n') }
}

export const stickyCases: PosixCase[] = [
  ...Object.entries(CALLS).map(caseOf),
  {
    name: 'a directory that is not sticky is for all who may write it, whoever owns what',
    steps: [
      places('777'),
      ...Object.values(CALLS).flatMap(([line, ...undone]) => [
        owned('root', 'owner', 'other'),
        `other ${line}`,
        ...undone.map((one) => `root ${one}`),
      ]),
    ].join('\n'),
  },
  {
    name: 'a sticky directory that others may not write is EACCES to them, and EPERM to none',
    steps: `
      ${places('1755')}
      ${owned('owner', 'owner', 'other')}
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
      ${places('1777')}
      ${owned('root', 'owner', 'other')}
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
