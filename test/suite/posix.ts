/**
 * Cases of calls and what they answer, written as steps. The same cases run on every kind of region
 * and, as far as it can be asked, on Linux.
 *
 * Four steps are not calls: `USER mark PATH` makes its times old (with `fresh`: read already),
 * `USER changed PATH = amc` tells which of atime, mtime and ctime moved since; `-` is none,
 * `USER readonly` mounts it all again, for reading only, and `USER until ERRNO CALL ARGUMENTS`
 * makes a call again and again, with a number in the place of `#`, until it is that errno.
 */
import assert from 'node:assert/strict'
import { MIB, type Case } from './ground.js'
import { call, fieldsOf, parseSteps, shown, USERS, type Step, type Subject } from './steps.js'
import { VolumeSubject } from './subject.js'

export interface PosixCase {
  readonly name: string
  readonly steps: string
}

/** Long past, before and after each other: atime that relatime moves, and one that it does not. */
const OLD = '1000000000'
const FUTURE = '4000000000'

/** Does the steps; `check` is told what each was to answer, and what it did; 'end' ends them. */
export async function runSteps(
  subject: Subject,
  text: string,
  check: (step: Step, found: string) => void | 'end',
): Promise<void> {
  const marks = new Map<string, string>()
  const times = async (path: string) => {
    return fieldsOf(await subject.run(USERS.root, call('lstat', [path])), TIMES)
  }
  for (const step of parseSteps(text)) {
    const [, name, path, how] = step.line.split(/\s+/) as [string, string, string, string?]
    if (name === 'readonly') {
      await subject.readOnly()
      continue
    }
    if (name === 'until') {
      await repeat(subject, step)
      continue
    }
    if (name === 'mark') {
      const atime = how === 'fresh' ? FUTURE : OLD
      assert.equal(await subject.run(USERS.root, call('lutimes', [path, atime, OLD])), '')
      marks.set(path, await times(path))
      await subject.tick()
      continue
    }
    const found =
      name === 'changed'
        ? moved(marks.get(path)!, await times(path))
        : shown(step, await subject.run(USERS[step.user], step.call))
    if (check(step, found) === 'end') return
  }
}

/** More than there is room for in a volume of a test. */
const TIMES_MOST = 100_000

/** Until it fails, which has to be as asked for. */
async function repeat(subject: Subject, { line, user }: Step): Promise<void> {
  const [, , errno, name, ...words] = line.split(/\s+/) as [string, string, string, string]
  for (let i = 0; i < TIMES_MOST; i++) {
    const numbered = (words as string[]).map((word) => word.replace('#', String(i)))
    const found = await subject.run(USERS[user], call(name, numbered))
    if (!isError(found)) continue
    assert.equal(found, errno, `${line}, after ${i} times`)
    return
  }
  assert.fail(`${line}: never`)
}

const TIMES = ['atime', 'mtime', 'ctime']

function moved(before: string, after: string): string {
  const [old, now] = [before.split(' '), after.split(' ')]
  const letters = ['a', 'm', 'c'].filter((_, i) => old[i] !== now[i])
  return letters.join('') || '-'
}

export function isError(outcome: string): boolean {
  return /^E[A-Z0-9]+$/.test(outcome)
}

export function checkStep(step: Step, found: string): void {
  const { expected, line } = step
  if (expected === undefined) assert.ok(!isError(found), `${line}: ${found}`)
  else assert.equal(found, expected, line)
}

/** As a case of the filesystem suite. */
export function posixCase({ name, steps }: PosixCase): Case {
  return {
    name,
    bytes: 4 * MIB,
    async run(ground) {
      const subject = new VolumeSubject(ground.fs, async () => {
        await ground.remount(true)
        return ground.fs
      })
      try {
        await runSteps(subject, steps, checkStep)
      } finally {
        await subject.finish()
      }
    },
  }
}
