/** A mount that this process serves: who looks into it is another one, or a thread. */
import type { FileSystem } from '../../src/base/filesystem.js'
import { Mount, type FileSystemMountOptions } from '../../src/fuse/mount.js'

/** `directory` is an absolute path. */
export function mountHere(
  directory: string,
  fs: FileSystem,
  options: Partial<FileSystemMountOptions> = {},
): Promise<Mount> {
  return Mount.at(directory, fs, {
    source: 'here',
    mode: 'direct',
    readOnly: false,
    allowOther: true,
    suid: false,
    dev: false,
    exec: true,
    tells: true,
    tellsAlways: true,
    alone: false,
    decides: true,
    reachable: () => true,
    failed: (error) => console.error(error),
    ...options,
  })
}
