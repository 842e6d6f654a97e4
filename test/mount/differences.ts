/** Where a mount answers otherwise than a volume, and why that is right. Nothing else may. */
import type { Step } from '../suite/steps.js'
import type { Excuse } from '../suite/linux/compare.js'
import { excuseKernel } from '../suite/linux/differences.js'

interface Difference {
  readonly on: RegExp
  readonly line: RegExp
  readonly answer: string
  readonly reason: string
}

const DIFFERENCES: readonly Difference[] = [
  {
    on: /./,
    line: /fallocate \d (collapse|insert) /,
    answer: 'EOPNOTSUPP',
    reason: 'the kernel passes neither of the two to a FUSE filesystem',
  },
  {
    on: /^remote/,
    line: /changed \/d\/f = a$/,
    answer: '-',
    reason: 'reads under a lease of the layout are not told to the server: they move no atime',
  },
  {
    on: /./,
    line: / access \S+ 2 = EPERM$/,
    answer: '',
    reason: 'access(2) is answered by the kernel, which knows nothing of flags',
  },
  {
    on: /cache|exclusive/,
    line: /changed \/d\/f = a$/,
    answer: '-',
    reason: 'what is read from pages of the kernel is not told of: it moves no atime',
  },
  {
    on: /exclusive/,
    line: /changed \/d\/f = c$/,
    answer: '-',
    reason:
      'a kernel that writes later keeps times itself, and does not know that chattr moves one',
  },
  {
    on: /exclusive/,
    line: / write 0 x 17592186040320 = EFBIG$/,
    answer: '1',
    reason: 'what is written later is refused later: fsync(2) is EFBIG',
  },
  {
    on: /^remote/,
    line: / copy 2 1 1 0 50000 = ENOSPC$/,
    answer: '50000',
    reason: 'a client that writes has blocks ahead of that, which it gives back to be copied from',
  },
  {
    on: /./,
    line: / stat \/d\/f mode = 102666$/,
    answer: '100666',
    reason: 'the kernel does not tell of groups beside the first: the bit goes, as for a stranger',
  },
  {
    on: /./,
    line: / fcntl @2 F_SETFL 0 = EPERM$/,
    answer: '0',
    reason: 'the same of fcntl(2): a write elsewhere is refused when it is tried',
  },
  {
    on: /./,
    line: / pread64 @0 bad 10 /,
    answer: 'EFAULT',
    reason: 'a read that goes past the page cache takes the memory first, as with O_DIRECT',
  },
]

/** Whether this is one of them; then the steps after it have no meaning. */
export function differs(way: string, step: Step, found: string): boolean {
  return DIFFERENCES.some(({ on, line, answer }) => {
    return on.test(way) && line.test(step.line) && found === answer
  })
}

export const excuse: Excuse = (step, volume, mount, before) => {
  const { name } = step.call
  // Who may do what is the kernel's to say, and comes first; flags are the volume's.
  const immutable = before.some((line) => / chattr \S+ \+[ia]/.test(line))
  if (immutable && volume === 'EPERM') return 'end'
  if (name === 'fallocate' && mount === 'EOPNOTSUPP') return 'end'
  return excuseKernel(step, volume, mount, before)
}
