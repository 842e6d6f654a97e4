/** Sources of files, as a server makes them. */
import type { HoldfastError } from '../../src/base/errors.js'
import type { LayoutFile } from '../../src/layout/file.js'
import type { LayoutVolume } from '../../src/layout/volume.js'
import { FileSource } from '../../src/serve/file_source.js'

/** A file that is looked up at each access; what an access was refused for goes to `refused`. */
export function followed(
  volume: LayoutVolume,
  file: LayoutFile,
  length: number,
  refused: HoldfastError[] = [],
): FileSource {
  const own = (offset: number, count: number) => {
    volume.call('own', undefined, file.as, () => {
      volume.core.guard.ask(file.asker)
      volume.checkWritable()
      volume.files.writable(file.ino)
      volume.ranges.own(file.inode, offset, count)
    })
  }
  return new FileSource(volume, file, { length, own, refused: (error) => refused.push(error) })
}
