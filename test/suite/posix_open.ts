/** Cases: open(2) with all its flags, and what handles may do. */
import type { PosixCase } from './posix.js'

export const openCases: PosixCase[] = [
  {
    name: 'O_CREAT makes what is not there, with the mode asked for and the umask taken off',
    steps: `
      root mkdir /d 777
      owner open 1 /d/a rw,creat 6777
      root stat /d/a mode,nlink,uid,gid,size = 106777 1 1001 1001 0
      masked open 1 /d/b rw,creat 666
      root stat /d/b mode = 100640
      masked mkdir /d/dir 777
      root stat /d/dir mode,uid,gid = 40750 1001 1001
      masked mknod /d/fifo 10666 0
      root stat /d/fifo mode = 10640
      masked symlink a /d/link
      root lstat /d/link mode,uid,gid,size = 120777 1001 1001 1
      owner open 1 /d/c r,creat 0
      owner write 1 x 0 = EBADF
      owner open 1 /d/c r 0 = EACCES
      owner open 1 /d/e rw,creat 000
      owner write 1 mine 0 = 4
      owner open 1 /d/e rw,creat 666 = EACCES
      owner open 1 /d/none r 0 = ENOENT
      owner open 1 /d/none rw,trunc 0 = ENOENT
    `,
  },
  {
    name: 'O_EXCL is EEXIST for whatever is there, a dead symlink too',
    steps: `
      root mkdir /d 777
      root open 0 /d/f w,creat,excl 644
      root open 1 /d/f w,creat,excl 644 = EEXIST
      root open 1 /d/f r,creat,excl 644 = EEXIST
      root open 1 /d w,creat,excl 644 = EEXIST
      root symlink none /d/dead
      root open 1 /d/dead w,creat,excl 644 = EEXIST
      root symlink f /d/live
      root open 1 /d/live w,creat,excl 644 = EEXIST
      root mknod /d/fifo 10666 0
      root open 1 /d/fifo w,creat,excl 644 = EEXIST
      other open 1 /d/f w,creat,excl 644 = EEXIST
      root stat /d/none = ENOENT
    `,
  },
  {
    name: 'O_TRUNC empties a file for who may write it',
    steps: `
      root mkdir /d 777
      owner open 0 /d/f rw,creat 644
      owner write 0 content 0
      owner open 1 /d/f r,trunc 0
      root stat /d/f size = 0
      owner write 0 content 0
      other open 1 /d/f r,trunc 0 = EACCES
      other open 1 /d/f w,trunc 0 = EACCES
      root stat /d/f size = 7
      owner open 1 /d/f rw,trunc 0
      owner read 1 10 0 = 
      root open 1 /d r,trunc 0 = EISDIR
    `,
  },
  {
    name: 'O_APPEND writes at the end, wherever the end is and whatever position is given',
    steps: `
      root open 0 /f rw,creat 644
      root write 0 begin 0
      root open 1 /f w,append 0
      root write 1 -end 0 = 4
      root read 0 20 0 = begin-end
      root ftruncate 0 2
      root write 1 X - = 1
      root write 0 yy 3
      root write 1 Z - = 1
      root stat /f size = 6
      root read 1 5 0 = EBADF
      root ftruncate 1 1
      root read 0 20 0 = b
    `,
  },
  {
    name: 'O_DIRECTORY opens directories alone, and nobody writes one',
    steps: `
      root mkdir /d 755
      root open 0 /f w,creat 644
      root mknod /fifo 10644 0
      root symlink d /link
      root symlink f /flink
      root open 1 /d r,directory 0
      root open 1 /link r,directory 0
      root open 1 /f r,directory 0 = ENOTDIR
      root open 1 /flink r,directory 0 = ENOTDIR
      root open 1 /fifo r,directory 0 = ENOTDIR
      root open 1 /none r,directory 0 = ENOENT
      root open 1 /d w 0 = EISDIR
      root open 1 /d rw 0 = EISDIR
      root open 1 /d rw,directory 0 = EISDIR
      root open 1 /d w,creat 644 = EISDIR
      root open 1 /d r,creat 644 = EISDIR
      root open 1 /d r,creat,directory 644 = EINVAL
      root open 1 /new r,creat,directory 644 = EINVAL
      root open 1 /d r 0
      root read 1 10 0 = EISDIR
      root write 1 x 0 = EBADF
    `,
  },
  {
    name: 'O_NOFOLLOW is ELOOP for a symlink at the end, and only there',
    steps: `
      root mkdir /d 755
      root open 0 /d/f w,creat 644
      root symlink d /dlink
      root symlink d/f /flink
      root symlink none /dead
      root open 1 /flink r,nofollow 0 = ELOOP
      root open 1 /flink rw,trunc,nofollow 0 = ELOOP
      root open 1 /dead r,nofollow 0 = ELOOP
      root open 1 /dead w,creat,nofollow 644 = ELOOP
      root open 1 /dlink r,nofollow 0 = ELOOP
      root open 1 /dlink r,directory,nofollow 0 = ENOTDIR
      root open 1 /dlink/f r,nofollow 0
      root open 1 /dlink/ r,nofollow 0
      root open 1 /d/f r,nofollow 0
    `,
  },
  {
    name: 'O_TMPFILE makes a file without a name, that link may give one',
    steps: `
      root mkdir /d 777
      root mkdir /closed 755
      owner open 0 /d rw,tmpfile 640
      owner write 0 content 0 = 7
      owner read 0 10 0 = content
      owner fstat 0 mode,nlink,uid,gid,size = 100640 0 1001 1001 7
      root readdir /d = 
      owner linkfd 0 /d/f
      owner fstat 0 nlink = 1
      root stat /d/f mode,nlink,size = 100640 1 7
      owner linkfd 0 /d/g
      root stat /d/g nlink = 2
      owner linkfd 0 /d/g = EEXIST
      owner linkfd 0 /closed/g = EACCES
      owner linkfd 0 /none/g = ENOENT
      owner open 1 /d rw,tmpfile,excl 640
      owner linkfd 1 /d/h = ENOENT
      owner open 2 /closed rw,tmpfile 640 = EACCES
      owner open 2 /d r,tmpfile 640 = EINVAL
      owner open 2 /d/f rw,tmpfile 640 = ENOTDIR
      owner open 2 /none rw,tmpfile 640 = ENOENT
      masked open 2 /d w,tmpfile 666
      masked fstat 2 mode = 100640
      masked linkfd 2 /d/masked
      root unlink /d/f
      root unlink /d/g
      owner fstat 0 nlink = 0
      owner linkfd 0 /d/again = ENOENT
    `,
  },
  {
    name: 'O_NOATIME is for owners',
    steps: `
      root mkdir /d 777
      owner open 0 /d/f rw,creat 666
      owner write 0 content 0
      owner open 1 /d/f r,noatime 0
      root open 2 /d/f r,noatime 0
      other open 3 /d/f r,noatime 0 = EPERM
      root mark /d/f
      owner read 1 3 0 = con
      root changed /d/f = -
      owner read 0 3 0 = con
      root changed /d/f = a
    `,
  },
  {
    name: 'a handle reads, writes and truncates as it was opened, whatever becomes of the mode',
    steps: `
      root mkdir /d 777
      owner open 0 /d/f rw,creat 600
      owner open 1 /d/f r 0
      owner open 2 /d/f w 0
      root chmod /d/f 000
      root chown /d/f 0 0
      owner write 0 content 0 = 7
      owner read 0 9 0 = content
      owner read 1 9 0 = content
      owner write 2 CON 0 = 3
      owner read 2 9 0 = EBADF
      owner write 1 x 0 = EBADF
      owner ftruncate 1 0 = EINVAL
      owner ftruncate 2 3
      owner read 1 9 0 = CON
      owner fchmod 1 777 = EPERM
      owner fchown 1 1001 1001 = EPERM
      owner futimes 1 5 5 = EPERM
      owner futimes 1 now now = EACCES
      owner fallocate 1 grow 0 5 = EBADF
      owner fallocate 2 grow 0 5
    `,
  },
  {
    name: 'an unlinked file lives until its last handle is closed',
    steps: `
      root open 0 /f rw,creat 644
      root write 0 content 0
      root unlink /f
      root stat /f = ENOENT
      root fstat 0 nlink,size = 0 7
      root read 0 9 0 = content
      root write 0 more 7 = 4
      root fchmod 0 600
      root ftruncate 0 3
      root read 0 9 0 = con
      root linkfd 0 /back = ENOENT
      root open 1 /f rw,creat 644
      root fstat 1 size = 0
      root close 0
      root mkdir /d 755
      root open 0 /d r 0
      root rmdir /d
      root fstat 0 nlink = 0
    `,
  },
  {
    name: 'a removed directory that is open takes no names',
    steps: `
      root mkdir /d 755
      root mkdir /d/e 755
      root open 0 /d/e r,directory 0
      root rmdir /d/e
      root open 1 /d/e r 0 = ENOENT
      root open 1 /d/e rw,tmpfile 600 = ENOENT
      root mkdir /d/e/x 755 = ENOENT
      root fstat 0 mode = 40755
    `,
  },
]
