/** Where Linux answers otherwise than a volume, and why that is right. */
import type { Step } from '../steps.js'

export interface DifferenceAllowed {
  /** Filesystem as stat -f names it. */
  readonly on: RegExp
  readonly line: RegExp
  readonly linux: string
  readonly reason: string
}

export const DIFFERENCES: readonly DifferenceAllowed[] = [
  {
    on: /^tmpfs$/,
    line: /fallocate \d (collapse|insert|zero|zerokeep) /,
    linux: 'EOPNOTSUPP',
    reason: 'tmpfs has neither of the three',
  },
  {
    on: /^ext/,
    line: /changed \/d\/f = c$/,
    linux: '-',
    reason: 'ext4 leaves an attribute alone that has the value already; tmpfs and XFS do not',
  },
]

/** Whether this is one of them; then the steps after it have no meaning. */
export function differs(filesystem: string, step: Step, found: string): boolean {
  return DIFFERENCES.some(({ on, line, linux }) => {
    return on.test(filesystem) && line.test(step.line) && found === linux
  })
}
