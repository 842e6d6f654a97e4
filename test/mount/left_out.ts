/** Cases of the filesystem suite that no program can make to a mount, and why. Nothing else is. */
import type { Case } from '../suite/ground.js'

interface LeftOut {
  readonly name: string
  readonly reason: string
}

export const LEFT_OUT: readonly LeftOut[] = [
  {
    name: 'a wait for a lock ends with its signal, and with its handle',
    reason:
      'a signal of fcntl(2) is one of the process, and close(2) ends no wait of others: Linux has ' +
      'neither an AbortSignal nor EBADF for it',
  },
  {
    name: 'a contiguous range is one aligned run of blocks, or ENOSPC and nothing done',
    reason: 'fallocate(2) has no flag for one run of blocks',
  },
  {
    name: 'whoever watches is told of each change, once, with inodes and names, until they end it',
    reason: 'inotify(7) tells of what programs of this host do, by names and not by inodes',
  },
]

export const isLeftOut = ({ name }: Case): boolean => LEFT_OUT.some((one) => one.name === name)
