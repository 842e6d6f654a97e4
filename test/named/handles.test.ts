/**
 * The story: each handle kept its own idea of the file, its size or its log of writes. With two
 * handles on one file, one did not see what the other had written, or wrote its old size back over
 * the new one.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { OpenFile } from '../../src/volume/open_file.js'
import { atEveryStore, bytesOf, describe, mount, newRegion } from './support.js'

function content(file: OpenFile): string {
  const bytes = new Uint8Array(file.stat().size)
  file.read(bytes, 0)
  return Buffer.from(bytes).toString()
}

test('what one handle writes, cuts and appends, the other sees at once', () => {
  const volume = mount(newRegion(512))
  const a = volume.open('/f', 'w+')
  const b = volume.open('/f', 'r+')
  a.write(bytesOf('a', 10))
  assert.equal(content(b), 'aaaaaaaaaa')
  b.write(bytesOf('b', 3), 8)
  assert.equal(content(a), 'aaaaaaaabbb')
  b.truncate(4)
  assert.equal(a.stat().size, 4)
  // The position of `a` is its own: 10, now past the end.
  a.write(bytesOf('c', 1))
  assert.equal(content(b), 'aaaa\0\0\0\0\0\0c')
  assert.equal(b.read(new Uint8Array(3)), 3, "the position of 'b' is still 0")
})

test('two handles that append never write over one another', () => {
  const volume = mount(newRegion(512))
  const a = volume.open('/f', 'a+')
  const b = volume.open('/f', 'a+')
  let expected = ''
  for (let i = 0; i < 200; i++) {
    const length = 1 + ((i * 37) % 61)
    const file = i % 3 === 0 ? b : a
    file.write(bytesOf(String.fromCharCode(97 + (i % 26)), length))
    expected += String.fromCharCode(97 + (i % 26)).repeat(length)
  }
  assert.equal(content(a), expected)
  assert.equal(content(b), expected)
})

test('a file without a name lives until the last of its handles is closed, and no longer', () => {
  const region = newRegion(512)
  const volume = mount(region)
  const { blocksFree: free, files } = volume.statfs()
  const a = volume.open('/f', 'w+')
  const b = volume.open('/f', 'r+')
  a.write(bytesOf('kept', 20_000))
  volume.unlink('/f')
  volume.writeFile('/f', bytesOf('other', 20_000))
  a.close()
  b.write(bytesOf('more', 4), 20_000)
  assert.equal(b.stat().nlink, 0)
  assert.equal(
    content(b),
    Buffer.from(bytesOf('kept', 20_004)).toString().slice(0, 20_000) + 'more',
  )
  const used = volume.statfs().blocksFree
  b.close()
  assert(volume.statfs().blocksFree > used, 'its blocks are free')
  volume.unlink('/f')
  assert.deepEqual([volume.statfs().blocksFree, volume.statfs().files], [free, files])
})

test('the file that a rename replaced is still whole behind its handle', () => {
  const volume = mount(newRegion(512))
  volume.writeFile('/new', bytesOf('new', 5000))
  volume.writeFile('/old', bytesOf('old', 9000))
  const old = volume.open('/old', 'r')
  volume.rename('/new', '/old')
  assert.equal(content(old), Buffer.from(bytesOf('old', 9000)).toString())
  assert.deepEqual(volume.readFile('/old'), bytesOf('new', 5000))
})

test('appends through two handles are there one by one at every store', () => {
  const region = newRegion(512)
  const volume = mount(region)
  const a = volume.open('/f', 'a')
  const b = volume.open('/f', 'a')
  const allowed = new Set<string>([describe(volume)])
  const parts = [5, 4096, 100, 4000, 1]
  // What may be seen: the file after each of the appends, in their order.
  const reference = mount(newRegion(512))
  for (let i = 0; i < parts.length; i++) {
    const file = reference.open('/f', 'a')
    file.write(bytesOf(`part ${i}`, parts[i]!))
    file.close()
    allowed.add(describe(reference))
  }
  const seen = new Set<string>()
  atEveryStore(
    region,
    () => parts.forEach((length, i) => (i % 2 === 0 ? a : b).write(bytesOf(`part ${i}`, length))),
    (crashed) => seen.add(describe(crashed)),
  )
  for (const state of seen) assert(allowed.has(state), `a state that no append made:\n${state}`)
  assert.equal(seen.size, parts.length + 1)
})
