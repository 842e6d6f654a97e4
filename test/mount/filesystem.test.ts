/** The filesystem suite over mounts, by system calls of a program. SEED repeats a run. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { filesystemCases } from '../suite/filesystem_cases.js'
import { runCase, runSuite } from '../suite/ground.js'
import { isLeftOut, LEFT_OUT } from './left_out.js'
import { embedded, remote, served } from './setups.js'

runSuite(
  [embedded, served, remote],
  filesystemCases.filter((one) => !isLeftOut(one)),
)

const missing = embedded.prepare?.() ?? null

describe('what is left out of it', { skip: missing ?? false }, () => {
  for (const { name, reason } of LEFT_OUT) {
    test(`still cannot be done, and fails for want of a call: ${name}`, async () => {
      const one = filesystemCases.find((other) => other.name === name)
      assert.ok(one, 'there is such a case')
      await assert.rejects(
        runCase(embedded, one),
        /EOPNOTSUPP: no system call says/,
        `it can be done, or fails for another reason than that ${reason}`,
      )
    })
  }
})
