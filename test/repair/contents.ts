/** Not tests: everything that is in a volume, as lines of text that can be compared. */
import { native } from '../../src/native/native.js'
import type { Region } from '../../src/region/region.js'
import type { Volume } from '../../src/volume/volume.js'
import { workMemory, type WorkMemory } from '../../src/volume/mount.js'
import { Volume as Volumes } from '../../src/volume/volume.js'

/** Bytes of a file that are looked at. */
const BYTES_MAX = 1 << 20

let memory: WorkMemory | undefined

/** All files with their contents and attributes; the region stays as it is. */
export function contentsOf(region: Region): string {
  memory ??= workMemory(256, 256 * 1024)
  const volume = Volumes.mount(region, { readOnly: true, memory })
  try {
    return linesOf(volume).sort().join('\n')
  } finally {
    volume.close()
  }
}

function linesOf(volume: Volume): string[] {
  const lines: string[] = []
  const queue: Buffer[] = [Buffer.from('/')]
  for (let path = queue.shift(); path !== undefined; path = queue.shift()) {
    for (const { name } of volume.readdir(path)) {
      const full = Buffer.concat([path, name])
      const { type, ino, mode, nlink, size } = volume.lstat(full)
      const parts = [full.toString('latin1'), type, ino, mode.toString(8), nlink, size]
      if (type === 'directory') queue.push(Buffer.concat([full, Buffer.from('/')]))
      else if (type === 'symlink') parts.push(Buffer.from(volume.readlink(full)).toString('latin1'))
      else if (type === 'file') parts.push(sumOf(volume, full, size))
      for (const attribute of volume.listXattrs(full, { follow: false }).sort()) {
        const value = volume.getXattr(full, attribute, { follow: false })
        const sum = native.crc32cOf(value, 0, value.length, 0)
        lines.push(`${full.toString('latin1')}@${attribute} ${value.length} ${sum}`)
      }
      lines.push(parts.join(' '))
    }
  }
  return lines
}

function sumOf(volume: Volume, path: Uint8Array, size: number): number {
  using file = volume.open(path, 'r')
  const bytes = new Uint8Array(Math.min(size, BYTES_MAX))
  const read = file.read(bytes, 0)
  return native.crc32cOf(bytes, 0, read, 0)
}
