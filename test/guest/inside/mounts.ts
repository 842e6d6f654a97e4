/**
 * Runs in the guest, whose kernel is older than most: what programs see of a mount there is what
 * the table of POSIX cases says.
 */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { release } from 'node:os'
import { createInterface } from 'node:readline'
import { after, before, describe, test } from 'node:test'
import { createVolume } from '../../../src/layout/embedded.js'
import { differs } from '../../mount/differences.js'
import { KernelSubject } from '../../suite/linux/kernel.js'
import { checkStep, runSteps, type PosixCase } from '../../suite/posix.js'
import { posixCases } from '../../suite/posix_cases.js'
import { programCases } from '../../suite/posix_programs.js'

const REGION = '/tmp/v.hf'
const DIRECTORY = '/tmp/mnt'
const MAIN = '/app/build/src/cli/main.js'

/** Without a system call of Linux 6.6, and without cases that an emulated machine takes minutes for. */
const isAsked = ({ name, steps }: PosixCase) =>
  !steps.includes('fchmodat2') && !/^(sticky directories|set-id bits and)/.test(name)

// The program that makes the calls stands where it was built.
process.chdir('/app')

describe(`a mount on Linux ${release()}`, () => {
  let child: ReturnType<typeof spawn>

  before(async () => {
    mkdirSync(DIRECTORY)
    createVolume(REGION, 64 << 20)
    child = spawn(process.execPath, [MAIN, 'mount', REGION, DIRECTORY], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    const [line] = (await once(createInterface({ input: child.stdout! }), 'line')) as [string]
    assert.match(line, /^mounted /)
  })

  for (const { name, steps } of [...posixCases, ...programCases].filter(isAsked)) {
    test(name, async () => {
      const subject = new KernelSubject(DIRECTORY)
      try {
        await runSteps(subject, steps, (step, found) => {
          if (differs('embedded', step, found)) return 'end'
          return checkStep(step, found)
        })
      } finally {
        await subject.finish()
      }
    })
  }

  test('bytes that were written are read, as often as one likes', () => {
    const bytes = Buffer.alloc(3 << 20, 'a line of text, and another\n')
    writeFileSync(`${DIRECTORY}/f`, bytes)
    for (let i = 0; i < 3; i++) assert.ok(readFileSync(`${DIRECTORY}/f`).equals(bytes))
  })

  after(async () => {
    child.kill('SIGTERM')
    const [code] = (await once(child, 'exit')) as [number | null]
    assert.equal(code, 0)
    assert.equal(existsSync(`${DIRECTORY}/f`), false)
  })
})
