/**
 * Cases: set-user-id and set-group-id bits, which go when somebody else than a privileged process
 * changes what is in a file, and stay when nothing is changed.
 */
import type { PosixCase } from './posix.js'

/** Whether bits go, by who asks. The file is 1001's, its group 1001, and all may write it. */
interface Taking {
  readonly call: string
  readonly who: Readonly<Record<string, boolean>>
}

/** What changes a file takes them from everybody but root. */
const CHANGING = { owner: true, member: true, other: true, root: false }
const KEEPING = { owner: false, member: false, other: false, root: false }

/** Handle 1 is open for reading and writing by who asks; handle 2 is another file. */
const TAKING: readonly Taking[] = [
  { call: 'write 1 x 0', who: CHANGING },
  { call: 'write 1 x 100', who: CHANGING },
  { call: "write 1 '' 0", who: KEEPING },
  { call: 'truncate /d/f 0', who: CHANGING },
  { call: 'truncate /d/f 7', who: CHANGING },
  { call: 'ftruncate 1 100', who: CHANGING },
  { call: 'open 3 /d/f w,trunc 0', who: CHANGING },
  { call: 'open 3 /d/f rw,creat 644', who: KEEPING },
  { call: 'fallocate 1 grow 0 8192', who: CHANGING },
  { call: 'fallocate 1 punch 0 4096', who: CHANGING },
  { call: 'copy 2 0 1 0 5', who: CHANGING },
  { call: 'read 1 5 0', who: KEEPING },
  { call: 'setxattr /d/f user.a v', who: KEEPING },
  { call: 'utimes /d/f now now', who: KEEPING },
]

/** Mode before, and after its bits were taken: S_ISGID stays where the group may not execute. */
const MODES = [
  ['4777', '100777'],
  ['2777', '100777'],
  ['6777', '100777'],
  ['6666', '102666'],
  ['7777', '101777'],
] as const

function caseOf({ call, who }: Taking): PosixCase {
  const lines = ['root mkdir /d 777', 'root open 3 /d/g rw,creat 666', 'root write 3 content 0']
  for (const [user, taken] of Object.entries(who)) {
    lines.push(
      'root open 0 /d/f rw,creat 666',
      'root write 0 content 0',
      'root chown /d/f 1001 1001',
      'root chmod /d/f 777',
      `${user} open 1 /d/f rw 0`,
      `${user} open 2 /d/g r 0`,
    )
    for (const [before, after] of MODES) {
      // Of a file that its asker is no member of, S_ISGID goes in any case; members are below.
      if (user === 'member' && before === '6666') continue
      const left = user === 'other' && before === '6666' ? '100666' : after
      lines.push(
        `root chmod /d/f ${before}`,
        `${user} ${call}`,
        `root stat /d/f mode = ${taken ? left : `10${before}`}`,
      )
    }
    lines.push('root unlink /d/f')
  }
  return { name: `set-id bits and '${call}', by whom`, steps: lines.join('\n') }
}

export const setIdCases: PosixCase[] = [
  ...TAKING.map(caseOf),
  {
    name: 'S_ISGID of a file that its group may not execute stays when a member writes it',
    steps: `
      root mkdir /d 777
      owner open 0 /d/f rw,creat 666
      owner write 0 content 0
      member open 1 /d/f rw 0
      owner chmod /d/f 6666
      member write 1 x 0
      root stat /d/f mode = 102666
      owner chmod /d/f 6666
      member truncate /d/f 3
      root stat /d/f mode = 102666
      owner chmod /d/f 6666
      member fallocate 1 grow 0 10
      root stat /d/f mode = 102666
    `,
  },
  {
    name: 'a call that fails takes no set-id bits',
    steps: `
      root mkdir /d 777
      owner open 0 /d/f rw,creat 600
      owner write 0 content 0
      owner open 1 /d/f r 0
      owner chmod /d/f 6755
      other truncate /d/f 0 = EACCES
      owner truncate /d/f -1 = EINVAL
      owner ftruncate 1 0 = EINVAL
      owner write 1 x 0 = EBADF
      owner fallocate 0 grow -1 5 = EINVAL
      other open 2 /d/f w,trunc 0 = EACCES
      other chown /d/f 1003 1003 = EPERM
      other chown /d/f -1 -1 = EPERM
      other utimes /d/f 5 5 = EPERM
      root stat /d/f mode,size = 106755 7
    `,
  },
  {
    name: 'set-id bits are given to new files as asked for, and to directories S_ISGID by theirs',
    steps: `
      root mkdir /d 777
      root chown /d 1001 1001
      root chmod /d 2777
      owner open 0 /d/f rw,creat 6755
      root stat /d/f mode,gid = 106755 1001
      other open 0 /d/o rw,creat 6755
      root stat /d/o mode,gid = 104755 1001
      member open 0 /d/m rw,creat 6755
      root stat /d/m mode,uid,gid = 106755 1002 1001
      other mkdir /d/sub 755
      root stat /d/sub mode,gid = 42755 1001
      other mknod /d/fifo 16755 0
      root stat /d/fifo mode,gid = 14755 1001
      masked open 0 /d/masked rw,creat 6777
      root stat /d/masked mode = 106750
      other chmod /d/sub 2777
      root stat /d/sub mode = 40777
      root chmod /d/sub 2777
      root stat /d/sub mode = 42777
    `,
  },
]
