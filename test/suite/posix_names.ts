/** Cases: making, linking, renaming and removing names; sticky and set-group-id directories. */
import type { PosixCase } from './posix.js'

export const namesCases: PosixCase[] = [
  {
    name: 'mkdir, mknod, symlink: owner, group, mode and links of what they make',
    steps: `
      root mkdir /d 777
      owner mkdir /d/sub 1755
      root stat /d/sub mode,nlink,uid,gid = 41755 2 1001 1001
      root stat /d nlink = 3
      owner mkdir /d/setid 6755
      root stat /d/setid mode = 40755
      owner mknod /d/fifo 10600 0
      root stat /d/fifo mode,nlink,uid,gid,size,rdev = 10600 1 1001 1001 0 0,0
      owner mknod /d/socket 140644 0
      root stat /d/socket mode = 140644
      owner mknod /d/file 100644 0
      owner mknod /d/plain 644 0
      root stat /d/plain mode = 100644
      owner mknod /d/device 20644 259 = EPERM
      owner mknod /d/device 60644 259 = EPERM
      root mknod /d/device 20644 1048835
      root stat /d/device mode,rdev = 20644 1,259
      root mknod /d/block 60600 8388609
      root stat /d/block mode,rdev = 60600 8,1
      owner mknod /d/x 40755 0 = EPERM
      root mknod /d/x 40755 0 = EPERM
      root mknod /d/x 120777 0 = EINVAL
      root mknod /d/x 150777 0 = EINVAL
      owner symlink /somewhere/else /d/link
      root lstat /d/link size = 15
      root readlink /d/link = /somewhere/else
      root readlink /d/file = EINVAL
      root readlink /d = EINVAL
      root readlink /d/fifo = EINVAL
      root truncate /d/fifo 0 = EINVAL
      root truncate /d/sub 0 = EISDIR
      root truncate /d/device 0 = EINVAL
      root rmdir /d/fifo = ENOTDIR
      root unlink /d/fifo
      root unlink /d/socket
      root unlink /d/device
      root unlink /d/block
    `,
  },
  {
    name: 'a set-group-id directory hands its group down, and the bit to directories',
    steps: `
      root mkdir /g 2777
      root chown /g 0 1001
      root chmod /g 2777
      other open 0 /g/f rw,creat 664
      root stat /g/f mode,uid,gid = 100664 1003 1001
      other mkdir /g/d 755
      root stat /g/d mode,gid = 42755 1001
      other mkdir /g/d/e 700
      root stat /g/d/e mode,gid = 42700 1001
      other symlink a /g/l
      root lstat /g/l gid = 1001
      other mknod /g/fifo 10644 0
      root stat /g/fifo gid = 1001
      other open 0 /g/set rw,creat 2775
      root stat /g/set mode = 100775
      other open 0 /g/keep rw,creat 2765
      root stat /g/keep mode = 102765
      member open 0 /g/mine rw,creat 2775
      root stat /g/mine mode,gid = 102775 1001
      root open 0 /g/root rw,creat 2775
      root stat /g/root mode = 102775
      other open 0 /g rw,tmpfile 2775
      other fstat 0 mode,gid = 100775 1001
    `,
  },
  {
    name: 'in a sticky directory only owners of either and root remove and rename',
    steps: `
      root mkdir /t 1777
      owner open 0 /t/f rw,creat 666
      owner mkdir /t/d 777
      other open 0 /t/o rw,creat 666
      other unlink /t/f = EPERM
      member unlink /t/f = EPERM
      other rmdir /t/d = EPERM
      other rename /t/f /t/g = EPERM
      other rename /t/o /t/f = EPERM
      other rename /t/o /t/f exchange = EPERM
      other rename /t/f /t/o exchange = EPERM
      other rename /t/o /t/p
      owner rename /t/f /t/g
      other open 1 /t/g rw 0
      owner link /t/g /t/h
      other unlink /t/h = EPERM
      owner unlink /t/h
      owner rmdir /t/d
      root unlink /t/p
      root mkdir /mine 1777
      root chown /mine 1003 1003
      root chmod /mine 1777
      owner open 0 /mine/f rw,creat 666
      member unlink /mine/f = EPERM
      other unlink /mine/f
    `,
  },
  {
    name: 'rmdir and unlink: what is there, empty, and of the right type',
    steps: `
      root mkdir /d 755
      root mkdir /d/e 755
      root open 0 /d/f w,creat 644
      root symlink d /link
      root rmdir /d = ENOTEMPTY
      root rmdir /d/f = ENOTDIR
      root rmdir /link = ENOTDIR
      root unlink /d = EISDIR
      root unlink /d/ = EISDIR
      root unlink /d/none = ENOENT
      root rmdir /d/none = ENOENT
      root unlink /link
      root stat /d mode,nlink = 40755 3
      root rmdir /d/e
      root stat /d nlink = 2
      root unlink /d/f
      root rmdir /d
      root stat /d = ENOENT
      root rmdir /d = ENOENT
    `,
  },
  {
    name: 'link: more names for everything but directories',
    steps: `
      root mkdir /d 777
      root open 0 /f w,creat 666
      root link /f /g
      root stat /g nlink = 2
      root link /f /g = EEXIST
      root link /f /d = EEXIST
      root link /d /e = EPERM
      root link /none /e = ENOENT
      root link /f /none/e = ENOENT
      root symlink f /link
      root link /link /link2
      root lstat /link2 mode,nlink = 120777 2
      root link /link /f2 follow
      root stat /f nlink = 3
      root symlink none /dead
      root link /dead /dead2
      root link /dead /x follow = ENOENT
      root symlink d /dlink
      root link /dlink /x follow = EPERM
      root mknod /fifo 10644 0
      root link /fifo /fifo2
      root stat /fifo nlink = 2
      root unlink /f
      root stat /g nlink = 2
    `,
  },
  {
    name: 'rename: what replaces what',
    steps: `
      root mkdir /d 755
      root mkdir /e 755
      root mkdir /full 755
      root mkdir /full/x 755
      root open 0 /f w,creat 644
      root write 0 f 0
      root open 1 /g w,creat 644
      root write 1 gg 0
      root rename /none /x = ENOENT
      root rename /f /none/x = ENOENT
      root rename /f /g/x = ENOTDIR
      root rename /d /f = ENOTDIR
      root rename /f /d = EISDIR
      root rename /d /full = ENOTEMPTY
      root rename /full /full/x/y = EINVAL
      root rename /full /full/x = EINVAL
      root rename /full/x /full = ENOTEMPTY
      root rename /f /full = EISDIR
      root rename /d /d
      root rename /f /f
      root rename /f /g
      root stat /g size = 1
      root stat /f = ENOENT
      root rename /full /d
      root readdir /d = x
      root rename /d/x /e/x
      root stat /d nlink = 2
      root stat /e nlink = 3
      root rename /d /e/x
      root readdir /e = x
      root link /g /h
      root rename /g /h
      root stat /g nlink = 2
      root symlink none /link
      root rename /link /g
      root readlink /g = none
      root lstat /h nlink = 1
      root rename /h /g
      root mknod /fifo 10644 0
      root rename /fifo /g
      root stat /g mode = 10644
    `,
  },
  {
    name: 'rename with noreplace and exchange',
    steps: `
      root mkdir /d 755
      root mkdir /d/sub 755
      root open 0 /f w,creat 644
      root write 0 f 0
      root open 1 /g w,creat 600
      root rename /f /g noreplace = EEXIST
      root rename /f /f noreplace = EEXIST
      root rename /none /g noreplace = ENOENT
      root rename /none /h noreplace = ENOENT
      root rename /d /f noreplace = EEXIST
      root rename /f /h noreplace
      root rename /f /g exchange = ENOENT
      root rename /h /none exchange = ENOENT
      root rename /h /g both = EINVAL
      root rename /h /g exchange
      root stat /g size = 1
      root stat /h mode = 100600
      root rename /h /h exchange
      root rename /d /g exchange
      root stat /d mode = 100644
      root stat /g mode,nlink = 40755 3
      root rename /g /g/sub exchange = EINVAL
      root rename /g/sub /g exchange = EINVAL
      root rename /h /g/sub/ exchange
      root stat /g/sub mode = 100600
      root stat /h mode = 40755
      root stat /g nlink = 2
      root rename /h/ /d exchange
      root rename /h /d/ exchange
      root rename /h / exchange = EBUSY
      root symlink none /dead
      root rename /dead /h exchange
      root readlink /h = none
    `,
  },
  {
    name: 'a directory that changes its parent must be writable by who moves it',
    steps: `
      root mkdir /a 777
      root mkdir /b 777
      root mkdir /a/d 755
      root open 0 /a/f w,creat 644
      other rename /a/d /b/d = EACCES
      other rename /a/d /a/e
      other rename /a/f /b/f
      other rename /b/f /a/e exchange = EACCES
      owner mkdir /a/mine 555
      owner rename /a/mine /b/mine = EACCES
      owner chmod /a/mine 755
      owner rename /a/mine /b/mine
      owner mkdir /a/mine 755
      other rename /b/mine /a/mine = EACCES
    `,
  },
  {
    name: 'append-only and immutable files and directories are EPERM to change, for root too',
    steps: `
      root mkdir /d 777
      owner open 0 /d/f rw,creat 666
      owner write 0 content 0
      owner chattr /d/f +i = EPERM
      other chattr /d/f -a = EPERM
      owner chattr /d/f -a
      root chattr /d/f +i
      root open 1 /d/f w 0 = EPERM
      root open 1 /d/f rw 0 = EPERM
      root open 1 /d/f r,trunc 0 = EPERM
      root open 1 /d/f r 0
      root access /d/f 2 = EPERM
      root access /d/f 4
      root truncate /d/f 0 = EPERM
      root chmod /d/f 600 = EPERM
      root chown /d/f 0 0 = EPERM
      root utimes /d/f 5 5 = EPERM
      root utimes /d/f now now = EPERM
      root setxattr /d/f user.a v = EPERM
      root removexattr /d/f user.a = EPERM
      root unlink /d/f = EPERM
      root rename /d/f /d/g = EPERM
      root link /d/f /d/g = EPERM
      owner open 2 /d/g rw,creat 666
      owner rename /d/g /d/f = EPERM
      owner rename /d/g /d/f exchange = EPERM
      root chattr /d/f -i
      root chattr /d/f +a
      root open 1 /d/f w 0 = EPERM
      root open 1 /d/f rw,append,trunc 0 = EPERM
      root open 1 /d/f rw,append 0
      root write 1 more 0 = 4
      root read 1 20 0 = contentmore
      root ftruncate 1 0 = EPERM
      root truncate /d/f 0 = EPERM
      root fallocate 1 punch 0 4096 = EPERM
      root fallocate 1 grow 0 4096
      root chmod /d/f 600 = EPERM
      root utimes /d/f 5 5 = EPERM
      root utimes /d/f now now
      root unlink /d/f = EPERM
      root rename /d/f /d/x = EPERM
      root link /d/f /d/x = EPERM
      root chattr /d/f -a
      root unlink /d/f
      root chattr /d +a
      root open 1 /d/new w,creat 644
      root unlink /d/g = EPERM
      root rename /d/g /d/h = EPERM
      root mkdir /d/sub 755
      root rmdir /d/sub = EPERM
      root chattr /d -a
      root chattr /d +i
      root open 1 /d/newer w,creat 644 = EPERM
      root mkdir /d/s 755 = EPERM
      root symlink a /d/s = EPERM
      root mknod /d/s 10644 0 = EPERM
      root rename /d/g /d/h = EPERM
      root unlink /d/g = EPERM
      root link /d/g /d/h = EPERM
      root open 1 /d/g rw 0
      root open 1 /d rw,tmpfile 600 = EPERM
      root rmdir /d = EPERM
      root chattr /d -i
      root unlink /d/g
    `,
  },
]
