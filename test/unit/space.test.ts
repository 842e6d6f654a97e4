/** Space is asked for before it is taken: asking takes none, so that any size may be asked for. */
import assert from 'node:assert/strict'
import { closeSync, fstatSync, mkdtempSync, openSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { native } from '../../src/native/native.js'
import { requireMemory, requireSpace } from '../../src/region/space.js'

const EXBIBYTE = 2 ** 60

for (const parent of ['/dev/shm', tmpdir()]) {
  test(`a file in ${parent} that does not fit is ENOSPC, and one that is there fits`, (t) => {
    const directory = mkdtempSync(join(parent, 'holdfast-space-'))
    t.after(() => rmSync(directory, { recursive: true }))
    const fd = openSync(join(directory, 'file'), 'w+')
    t.after(() => closeSync(fd))
    const refused = { code: 'ENOSPC', message: /needs \d+ bytes more, and \d+ are left/ }
    assert.throws(() => requireSpace(fd, 'file', EXBIBYTE), refused)
    assert.equal(fstatSync(fd).blocks, 0)
    requireSpace(fd, 'file', 4096)
    native.fallocate(fd, 0, 1 << 20)
    requireSpace(fd, 'file', 1 << 20)
    assert.throws(() => requireSpace(fd, 'file', EXBIBYTE), refused)
  })
}

test('more memory than the machine has is ENOSPC', () => {
  assert.throws(() => requireMemory('memfd', EXBIBYTE), { code: 'ENOSPC', message: /of memory/ })
  requireMemory('memfd', 4096)
  requireMemory('memfd', -4096)
})
