/** Where a mount answers otherwise than a volume, and why that is right. Nothing else may. */
import type { Step } from '../suite/steps.js'
import type { Excuse } from '../suite/linux/compare.js'
import { excuse as excuseKernel } from '../suite/linux/differences.js'
import type { Way } from './scene.js'

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
    on: /^remote$/,
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
]

/** Whether this is one of them; then the steps after it have no meaning. */
export function differs(way: Way, step: Step, found: string): boolean {
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
