/**
 * The story: link counts were changed in place, beside the log. After a crash a file had more links
 * than names, and its space was lost; or fewer, and its blocks were given away while a name still
 * led there.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Volume } from '../../src/volume/volume.js'
import { deleteAll } from '../model/compare.js'
import { atEveryStore, bytesOf, mount, newRegion } from './support.js'

/** Names of each inode, by walking; for a directory 2 and its subdirectories. */
function countLinks(volume: Volume): Map<number, { expected: number; found: number }> {
  const counts = new Map<number, { expected: number; found: number }>()
  const directory = (path: string) => {
    const { ino, nlink } = volume.stat(path === '' ? '/' : path)
    const count = { expected: 2, found: nlink }
    counts.set(ino, count)
    for (const entry of volume.readdir(path === '' ? '/' : path)) {
      const child = `${path}/${Buffer.from(entry.name).toString()}`
      if (entry.type === 'directory') {
        count.expected++
        directory(child)
        continue
      }
      const known = counts.get(entry.ino)
      if (known === undefined) {
        counts.set(entry.ino, { expected: 1, found: volume.stat(child).nlink })
      } else known.expected++
    }
  }
  directory('')
  return counts
}

function prepare(volume: Volume): void {
  for (const path of ['/a', '/b', '/a/sub', '/b/empty']) volume.mkdir(path)
  volume.writeFile('/a/f', bytesOf('f', 4096))
  volume.writeFile('/a/g', bytesOf('g', 4096))
  volume.link('/a/f', '/b/f')
}

const OPERATIONS: Readonly<Record<string, (volume: Volume) => void>> = {
  'a link': (v) => v.link('/a/f', '/b/another'),
  'an unlink of one of two names': (v) => v.unlink('/a/f'),
  'an unlink of the last name': (v) => v.unlink('/a/g'),
  'a rename over one of two names': (v) => v.rename('/a/g', '/b/f'),
  'a rename of one of two names over a file': (v) => v.rename('/b/f', '/a/g'),
  'a mkdir': (v) => v.mkdir('/a/more'),
  'an rmdir': (v) => v.rmdir('/b/empty'),
  'a directory moved to another': (v) => v.rename('/a/sub', '/b/sub'),
  'a directory moved over another': (v) => v.rename('/a/sub', '/b/empty'),
}

for (const [name, operation] of Object.entries(OPERATIONS)) {
  test(`${name} leaves as many links as names at every store`, () => {
    const region = newRegion(512)
    const volume = mount(region)
    const free = volume.statfs().blocksFree
    prepare(volume)
    atEveryStore(
      region,
      () => operation(volume),
      (crashed, when) => {
        for (const [ino, { expected, found }] of countLinks(crashed)) {
          assert.equal(found, expected, `${when}: links of inode ${ino}`)
        }
        deleteAll(crashed)
        crashed.sync()
        assert.equal(crashed.statfs().blocksFree, free, `${when}: blocks lost`)
      },
    )
  })
}
