/** Where Linux answers otherwise than a volume, and why that is right. Nothing else may differ. */
import { readFileSync } from 'node:fs'
import type { Step } from '../steps.js'
import type { Excuse } from './compare.js'

export interface Difference {
  /** Filesystem as stat -f names it. */
  readonly on: RegExp
  readonly line: RegExp
  readonly linux: string
  readonly reason: string
}

/** Of the cases in the table. */
export const DIFFERENCES: readonly Difference[] = [
  {
    on: /^tmpfs$/,
    line: /fallocate \d (collapse|insert|zero|zerokeep) /,
    linux: 'EOPNOTSUPP',
    reason: 'tmpfs has neither of the three',
  },
  {
    on: /^tmpfs$/,
    line: / 17592186040321 = EFBIG$/,
    linux: '',
    reason: 'files of tmpfs have any length that a number has',
  },
  {
    on: /^ext/,
    line: /changed \/d\/f = c$/,
    linux: '-',
    reason: 'ext4 leaves an attribute alone that has the value already; tmpfs and XFS do not',
  },
  {
    on: /./,
    line: / RENAME_WHITEOUT = EINVAL$/,
    linux: '0',
    reason: 'whiteouts are for the upper layer of an overlay, which a volume is not',
  },
]

/** Whether this is one of them; then the steps after it have no meaning. */
export function differs(filesystem: string, step: Step, found: string): boolean {
  return DIFFERENCES.some(({ on, line, linux }) => {
    return on.test(filesystem) && line.test(step.line) && found === linux
  })
}

/** fs.protected_hardlinks: who is not the owner links only what they may read and write. */
const PROTECTED = readFileSync('/proc/sys/fs/protected_hardlinks', 'utf8').trim() !== '0'

/** Of calls at random. */
export const excuse: Excuse = (step, volume, linux, before) => {
  const { name } = step.call
  // A FIFO, a socket or a device is opened by the kernel, above a mounted volume.
  if (name === 'open' && volume === 'ENXIO') return 'go on'
  // A policy of the machine, above every filesystem.
  if (PROTECTED && (name === 'link' || name === 'linkfd') && linux === 'EPERM') return 'end'
  // Blocks that were allocated and never written are data here: zeros are on the medium. Others may
  // take them for a hole (lseek(2) leaves it open).
  const allocated = before.some((line) => /fallocate \d (grow|keep|zero|zerokeep) /.test(line))
  if (name === 'seek' && allocated && !/^E(BADF|INVAL)$/.test(volume + linux)) return 'go on'
  // A directory of ext4 has holes.
  if (name === 'seek' && volume === 'EINVAL') return 'go on'
  // tmpfs has no such thing.
  if (name === 'fallocate' && linux === 'EOPNOTSUPP') return 'end'
  // A file that becomes immutable while it is open: tmpfs goes on changing it, ext4 refuses even
  // what changes nothing; the volume refuses to change it.
  const immutable = before.some((line) => /chattr \S+ \+i/.test(line))
  const onHandle = typeof step.call.args[0] === 'number' || / chown | lchown /.test(step.line)
  if (immutable && onHandle && (volume === 'EPERM' || linux === 'EPERM')) return 'end'
  // What takes set-user-ID and set-group-ID away changes the mode, which ext4 refuses for a file
  // that became append-only while it was open; tmpfs and XFS take them away, as the volume does.
  const setId = before.some((line) => / (chmod|open|mknod) .*\b[2-7]\d{3}$/.test(line))
  const append = setId && before.some((line) => /chattr \S+ \+a/.test(line))
  if (append && typeof step.call.args[0] === 'number' && linux === 'EPERM') return 'end'
  return null
}
