/**
 * What Linux answers to the same calls, on tmpfs and on whatever holds the temporary directory: the
 * cases of the suite, and calls at random. SEED repeats a run.
 */
import { execFileSync } from 'node:child_process'
import { tmpdir } from 'node:os'
import { describe, test } from 'node:test'
import { KernelSubject, prepareKernel } from './linux/kernel.js'
import { checkStep, runSteps } from './posix.js'
import { posixCases } from './posix_cases.js'
import { differs } from './linux/differences.js'

const missing = prepareKernel()
const type = (path: string) =>
  execFileSync('stat', ['-f', '-c', '%T', path], { encoding: 'utf8' }).trim()

for (const directory of new Set(['/dev/shm', tmpdir()])) {
  const filesystem = type(directory)
  describe(`Linux on ${filesystem}`, { skip: missing ?? false }, () => {
    for (const { name, steps } of posixCases) {
      test(name, async () => {
        const linux = new KernelSubject(directory)
        try {
          await runSteps(linux, steps, (step, found) => {
            if (differs(filesystem, step, found)) return 'end'
            return checkStep(step, found)
          })
        } finally {
          await linux.finish()
        }
      })
    }
  })
}
