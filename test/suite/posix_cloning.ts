/**
 * Cases: ranges of files, and whole ones, that become others without a copy, with the errnos of
 * ioctl_ficlonerange(2). Filesystems of Linux that can do this are rarely at hand: these cases are
 * asked of volumes alone.
 */
import type { PosixCase } from './posix.js'

/** A source of two blocks and a bit, a destination of four blocks. */
const FILES = `
  root open 0 /f rw,creat 644
  root write 0 {a*4096}{b*4096}{c*100} 0
  root open 1 /g rw,creat 644
  root write 1 {x*16384} 0
`

export const cloneCases: PosixCase[] = [
  {
    name: 'a cloned range shows the bytes of its source, and a write to one shows in one',
    steps: `
      ${FILES}
      root clone 0 4096 1 8192 4096
      root read 1 2 8191 = xb
      root read 1 2 12287 = bx
      root stat /g size = 16384
      root write 1 new 8192
      root read 0 3 4096 = bbb
      root write 0 old 4097
      root read 1 4 8192 = newb
      root clone 0 0 1 16384 0
      root stat /g size = 24676
      root read 1 3 24674 = cc
      root clone 0 0 0 12288 8192
      root stat /f size = 20480
      root read 0 3 8290 = cc\\x00
      root read 0 2 12287 = \\x00a
    `,
  },
  {
    name: 'a clone of a range takes handles that read and write, and do not append',
    steps: `
      ${FILES}
      root open 2 /g r 0
      root clone 0 0 2 0 4096 = EBADF
      root open 2 /g rw,append 0
      root clone 0 0 2 0 4096 = EBADF
      root clone 2 0 0 0 4096
      root open 2 /f w 0
      root clone 2 0 1 0 4096 = EBADF
      root mkdir /d 755
      root open 2 /d r 0
      root clone 2 0 1 0 4096 = EISDIR
      root clone 0 0 2 0 4096 = EISDIR
      root read 1 1 0 = x
    `,
  },
  {
    name: 'a clone of a range is of whole blocks inside of the source, and not onto itself',
    steps: `
      ${FILES}
      root clone 0 1 1 0 4096 = EINVAL
      root clone 0 0 1 1 4096 = EINVAL
      root clone 0 0 1 0 4095 = EINVAL
      root clone 0 8192 1 0 100 = EINVAL
      root clone 0 8192 1 16384 100
      root stat /g size = 16484
      root clone 0 0 1 0 12288 = EINVAL
      root clone 0 12288 1 0 4096 = EINVAL
      root clone 0 12288 1 0 0 = EINVAL
      root clone 0 -4096 1 0 4096 = EINVAL
      root clone 0 0 1 -4096 4096 = EINVAL
      root clone 0 0 1 0 -4096 = EINVAL
      root clone 0 0 0 0 4096 = EINVAL
      root clone 0 0 0 4096 8192 = EINVAL
      root clone 0 4096 0 0 4096
      root read 0 1 0 = b
      root clone 0 0 1 17592186040320 8192 = EFBIG
      root clone 0 0 1 1152921504606842880 4096 = EINVAL
      root read 1 1 0 = x
      root stat /g size = 16484
    `,
  },
  {
    name: 'what is immutable or append-only becomes no clone, and may be the source of one',
    steps: `
      ${FILES}
      root chattr /g +i
      root clone 0 0 1 0 4096 = EPERM
      root reflink /f /g = EPERM
      root clone 1 0 0 0 4096
      root reflink /g /h
      root stat /h size = 16384
      root chattr /g -i
      root read 1 1 0 = x
      root chattr /g +a
      root open 2 /g rw 0 = EPERM
      root reflink /f /g = EPERM
      root read 1 1 0 = x
      # A handle from before it was append-only writes as it did.
      root clone 0 4096 1 0 4096
      root read 1 1 0 = b
      root chattr /g -a
    `,
  },
  {
    name: 'reflink of a path: new, over another, by whom, and of what',
    steps: `
      ${FILES}
      root chmod /f 640
      root reflink /f /new
      root stat /new mode,size,nlink = 100640 8292 1
      root chmod /g 600
      root reflink /f /g
      root stat /g mode,size = 100600 8292
      root read 1 3 8190 = bbc
      root reflink /f /f
      root stat /f size = 8292
      root reflink /none /x = ENOENT
      root reflink /f /none/x = ENOENT
      root reflink /f /g/x = ENOTDIR
      root mkdir /d 755
      root reflink /f /d = EISDIR
      root reflink /d /x = EISDIR
      root stat /x = ENOENT
      other reflink /f /x = EACCES
      root chmod /f 644
      other reflink /f /x = EACCES
      other reflink /f /g = EACCES
      root stat /x = ENOENT
      root mkdir /open 777
      other reflink /f /open/x
      root stat /open/x uid,size = 1003 8292
      root symlink x /open/link
      other reflink /f /open/link
      root stat /open/x size = 8292
      root lstat /open/link size = 1
      root reflink /f /{n*256} = ENAMETOOLONG
      root mknod /fifo 10644 0
      root reflink /fifo /x = ENXIO
      root readdir / = d f fifo g new open
    `,
  },
  {
    name: 'a volume mounted for reading only clones nothing',
    steps: `
      ${FILES}
      root readonly
      root reflink /f /x = EROFS
      root reflink /f /g = EROFS
      root open 0 /f r 0
      root open 1 /g r 0
      root clone 0 0 1 0 4096 = EROFS
      root stat /g size = 16384
    `,
  },
]
