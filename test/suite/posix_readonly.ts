/** Cases: a volume that is mounted for reading only. */
import type { PosixCase } from './posix.js'

const PLACES = `
  root mkdir /d 777
  root mkdir /d/e 777
  root open 0 /d/f rw,creat 666
  root write 0 content 0
  root setxattr /d/f user.a v
  root open 1 /closed rw,creat 600
  root symlink f /d/l
  root mknod /d/fifo 10666 0
  root close 0
  root close 1
`

export const readOnlyCases: PosixCase[] = [
  {
    name: 'what is mounted for reading only is read, and EROFS for every call that changes it',
    steps: `
      ${PLACES}
      root readonly
      root open 0 /d/f r 0
      root read 0 20 0 = content
      other stat /d/f mode = 100666
      other readdir /d = e f fifo l
      other readlink /d/l = f
      other getxattr /d/f user.a = v
      root listxattr /d/f = user.a
      root access /d/f 4
      root access /d/f 2 = EROFS
      root access /d 2 = EROFS
      root open 1 /d/f w 0 = EROFS
      root open 1 /d/f rw 0 = EROFS
      root open 1 /d/f r,trunc 0 = EROFS
      root open 1 /d/new w,creat 644 = EROFS
      root open 1 /d/f r,creat 644
      root open 1 /d rw,tmpfile 644 = EROFS
      root truncate /d/f 0 = EROFS
      root mkdir /d/new 755 = EROFS
      root mknod /d/new 10644 0 = EROFS
      root symlink x /d/new = EROFS
      root rmdir /d/e = EROFS
      root unlink /d/f = EROFS
      root rename /d/f /d/g = EROFS
      root rename /d/f /d/e exchange = EROFS
      root link /d/f /d/g = EROFS
      root chmod /d/f 600 = EROFS
      root chown /d/f 5 5 = EROFS
      root lchown /d/l 5 5 = EROFS
      root utimes /d/f 5 5 = EROFS
      root utimes /d/f now now = EROFS
      root setxattr /d/f user.b v = EROFS
      root removexattr /d/f user.a = EROFS
      root setacl /d/f access u::6,g::4,o::0 = EROFS
      root rmacl /d/f access = EROFS
      root chattr /d/f +i = EROFS
      root fchmod 0 600 = EROFS
      root fchown 0 5 5 = EROFS
      root futimes 0 5 5 = EROFS
    `,
  },
  {
    name: 'on what is mounted for reading only a name that is not there, or there, comes first',
    steps: `
      ${PLACES}
      root readonly
      root open 0 /none r 0 = ENOENT
      root open 0 /none w 0 = ENOENT
      root mkdir /none/x 755 = ENOENT
      root mkdir /d 755 = EEXIST
      root mkdir /d/f/x 755 = ENOTDIR
      root symlink x /d/f = EEXIST
      root mknod /d/f 10644 0 = EEXIST
      root link /d/f /d/l = EEXIST
      root link /none /d/x = ENOENT
      root open 0 /d/f w,creat,excl 644 = EEXIST
      root chmod /none 600 = ENOENT
      root truncate /none 0 = ENOENT
      root truncate /d 0 = EISDIR
      root truncate /d/f -1 = EINVAL
      root unlink /none = EROFS
      root rmdir /none = EROFS
      root unlink /d/none/x = ENOENT
      root rename /none /d/x = EROFS
      root mknod /d/x 40755 0 = EPERM
      root utimes /none 5 5 = ENOENT
      root setxattr /none user.a v = ENOENT
      root removexattr /none user.a = ENOENT
    `,
  },
]
