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

const isSet = (policy: string): boolean =>
  readFileSync(`/proc/sys/fs/${policy}`, 'utf8').trim() !== '0'

/** Who is not the owner links only what they may read and write. */
const PROTECTED_LINKS = isSet('protected_hardlinks')
/** In sticky directories: what is another's is not opened to be made, a link not followed. */
const PROTECTED_OPENS = ['regular', 'fifos', 'symlinks'].some((of) => isSet(`protected_${of}`))

/** Of calls at random, to whatever the kernel has below it, a mounted volume too. */
export const excuseKernel: Excuse = (step, volume, linux, before) => {
  const { name } = step.call
  // A FIFO, a socket or a device is opened by the kernel, above a mounted volume.
  if (name === 'open' && volume === 'ENXIO') return 'go on'
  // Policies of the machine, above every filesystem.
  const sticky = before.some((line) => / (f?chmod|mkdir) .*\b[1357]\d{3}$/.test(line))
  if (PROTECTED_OPENS && sticky && linux === 'EACCES') return 'end'
  if (PROTECTED_LINKS && (name === 'link' || name === 'linkfd') && linux === 'EPERM') return 'end'
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

/** Of calls at random, to filesystems that are the kernel's own. */
export const excuse: Excuse = (step, volume, linux, before) => {
  // A hole that is copied is data to a copy through a pipe, which is how the kernel makes them.
  const copied = before.some((line) => / copy /.test(line))
  const found = !/^E(BADF|INVAL)$/.test(volume + linux)
  if (step.call.name === 'seek' && copied && found) return 'go on'
  return excuseKernel(step, volume, linux, before)
}
