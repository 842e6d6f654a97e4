/** Cases of programs alone: limits of a process, programs that run, mounts in the directory. */
import type { PosixCase } from './posix.js'

export const limitCases: PosixCase[] = [
  {
    name: 'nobody writes a program that runs, or cuts it; it is unlinked and replaced',
    steps: `
      root mkdir /d 777
      root program /d/p
      root execute /d/p
      root open 0 /d/p r 0
      root open 1 /d/p w 0 = ETXTBSY
      root open 1 /d/p rw 0 = ETXTBSY
      root open 1 /d/p r,trunc 0 = ETXTBSY
      root open 1 /d/p w,creat,trunc 755 = ETXTBSY
      root truncate /d/p 0 = ETXTBSY
      root read 0 3 1 = ELF
      root sys fallocate @0 0 0 10 = EBADF
      root chmod /d/p 700
      root chown /d/p 1001 1001
      root utimes /d/p 5 5
      root link /d/p /d/q
      root rename /d/q /d/r
      root open 1 /d/r w 0 = ETXTBSY
      root open 1 /d/r r,trunc 0 = ETXTBSY
      root read 0 3 1 = ELF
      root open 1 /d/new rw,creat 755
      root rename /d/new /d/p
      root unlink /d/r
      root open 2 /d/p w 0
    `,
  },
  {
    name: 'what is open for writing is not executed, and what has no x neither',
    steps: `
      root mkdir /d 777
      root program /d/p
      root open 0 /d/p w 0
      root execute /d/p = ETXTBSY
      root close 0
      root execute /d/p
      root program /d/q
      root chmod /d/q 644
      root execute /d/q = EACCES
      root chmod /d/q 700
      other execute /d/q = EACCES
      root execute /d/q
      root execute /d = EACCES
      root execute /d/none = ENOENT
    `,
  },
  {
    name: 'what would make a file longer than its process may is EFBIG, and changes nothing more',
    steps: `
      root open 0 /f rw,creat 666
      root write 0 content 0
      root open 1 /g rw,creat 666
      root write 1 {x*1000} 0
      root sys prlimit64 0 RLIMIT_FSIZE u64(100,100) null
      root truncate /f 101 = EFBIG
      root ftruncate 0 101 = EFBIG
      root truncate /f 100
      root write 0 {y*20} 90 = 10
      root write 0 y 100 = EFBIG
      root sys pwrite64 @0 'x' 1 100 = EFBIG
      root sys writev @0 u64(&,200) 1 = 100
      root sys writev @0 u64(&,200) 1 = EFBIG
      root sys fallocate @0 0 0 101 = EFBIG
      root sys copy_file_range @1 null @0 null 10 0 = EFBIG
      root stat /f size = 100
      root truncate /g 500
      root stat /g size = 500
      root write 1 y 499 = EFBIG
    `,
  },
  {
    name: 'no file is longer than a file can be: EFBIG and EINVAL',
    steps: `
      root open 0 /f rw,creat 666
      root write 0 content 0
      root open 1 /g rw,creat 666
      root write 1 content 0
      root sys pwrite64 @0 'x' 1 9223372036854775807 = EINVAL
      root sys fallocate @0 0 9223372036854775807 10 = EFBIG
      root sys fallocate @0 0 9223372036854775806 10 = EFBIG
      root sys copy_file_range @1 null @0 u64(9223372036854775807) 7 0 = EFBIG
      root sys copy_file_range @1 u64(9223372036854775807) @0 null 7 0 = 0
      root sys copy_file_range @1 u64(10) @0 u64(10) -1 0 = EOVERFLOW
      root sys pread64 @0 &10 10 9223372036854775807 = EINVAL
      root sys ftruncate @0 -1 = EINVAL
      root sys truncate /f -1 = EINVAL
      root sys fallocate @0 0 -1 10 = EINVAL
      root sys fallocate @0 0 0 0 = EINVAL
      root stat /f size = 7
    `,
  },
  {
    name: 'a process with as many files as it may have gets EMFILE, and makes no name',
    steps: `
      root mkdir /d 777
      root sys prlimit64 0 RLIMIT_NOFILE u64(4,4) null
      root sys openat cwd /d O_RDONLY 0 = EMFILE
      root sys openat cwd /d/new O_RDWR|O_CREAT 0644 = EMFILE
      root sys openat cwd /d O_RDWR|O_TMPFILE 0644 = EMFILE
      root stat /d/new = ENOENT
    `,
  },
  {
    name: 'another filesystem in the way is EXDEV to cross and EBUSY to take away',
    steps: `
      root mkdir /d 777
      root mkdir /d/m 755
      root open 0 /d/f rw,creat 666
      root write 0 content 0
      root sys mount 'none' /d/m 'tmpfs' 0 null
      root open 1 /d/m/f rw,creat 666
      root rename /d/f /d/m/x = EXDEV
      root rename /d/m/f /d/x = EXDEV
      root rename /d/f /d/m/f exchange = EXDEV
      root link /d/f /d/m/x = EXDEV
      root link /d/m/f /d/x = EXDEV
      root rmdir /d/m = EBUSY
      root unlink /d/m = EISDIR
      root rename /d/m /d/n = EBUSY
      root mkdir /d/n 755
      root rename /d/n /d/m = EBUSY
      root rename /d/n /d/m exchange = EBUSY
      root rmdir /d = ENOTEMPTY
      root sys mount /d/f /d/f '' MS_BIND null
      root unlink /d/f = EBUSY
      root rename /d/f /d/g = EBUSY
      root open 2 /d/g rw,creat 666
      root rename /d/g /d/f = EBUSY
      root read 0 10 0 = content
    `,
  },
  {
    name: 'the same filesystem mounted twice is EXDEV to link and rename across',
    steps: `
      root mkdir /d 777
      root mkdir /d/sub 755
      root mkdir /m 755
      root open 0 /d/f rw,creat 666
      root write 0 content 0
      root sys mount /d /m '' MS_BIND null
      root link /d/f /m/x = EXDEV
      root rename /d/f /m/x = EXDEV
      root rename /m/f /d/x = EXDEV
      root link /m/f /m/x
      root stat /d/x nlink = 2
      root open 1 /m/y rw,creat 666
      root sys copy_file_range @0 u64(0) @1 u64(0) 7 0 = 7
      root read 1 10 0 = content
    `,
  },
  {
    name: 'copy_file_range from another filesystem is EXDEV',
    steps: `
      root mkdir /m 755
      root open 0 /f rw,creat 666
      root write 0 content 0
      root sys mount 'none' /m 'ramfs' 0 null
      root open 1 /m/f rw,creat 666
      root write 1 content 0
      root sys copy_file_range @0 null @1 null 7 0 = EXDEV
      root sys copy_file_range @1 null @0 null 7 0 = EXDEV
    `,
  },
  {
    name: 'what is mounted without programs maps none and runs none',
    steps: `
      root mkdir /d 777
      root program /d/p
      root sys mount /d /d '' MS_BIND null
      root sys mount 'none' /d '' MS_BIND|MS_REMOUNT|MS_NOEXEC null
      root open 0 /d/p r 0
      root sys mmap 0 4096 PROT_READ|PROT_EXEC MAP_PRIVATE @0 0 = EPERM
      root execute /d/p = EACCES
      root sys mmap 0 4096 PROT_READ MAP_PRIVATE @0 0
      root sys mmap 0 4096 PROT_READ|PROT_WRITE MAP_PRIVATE @0 0
    `,
  },
  {
    name: 'locks of one process and of an open file exclude each other: EAGAIN',
    steps: `
      root open 0 /f rw,creat 666
      root open 1 /f rw 0
      root sys fcntl @0 F_OFD_SETLK u64(1,0,10,0) = 0
      root sys fcntl @1 F_OFD_SETLK u64(1,5,10,0) = EAGAIN
      root sys fcntl @1 F_OFD_SETLK u64(0,9,1,0) = EAGAIN
      root sys fcntl @1 F_SETLK u64(1,0,0,0) = EAGAIN
      root sys fcntl @1 F_OFD_SETLK u64(1,10,10,0) = 0
      root sys fcntl @0 F_OFD_SETLK u64(1,0,0,0) = EAGAIN
      root interrupted fcntl @1 F_OFD_SETLKW u64(1,0,10,0) = EINTR
      root interrupted fcntl @1 F_SETLKW u64(1,0,10,0) = EINTR
      root sys fcntl @0 F_OFD_SETLK u64(1,0,10,7) = EINVAL
      root sys fcntl @0 F_OFD_GETLK u64(1,0,10,7) = EINVAL
      root sys fcntl @0 F_SETLK u64(7,0,10,0) = EINVAL
      root sys fcntl @0 F_SETLK u64(0x70001,0,10,0) = EINVAL
      root sys fcntl @0 F_SETLK u64(1,-1,10,0) = EINVAL
      root sys fcntl @0 F_SETLK u64(1,9223372036854775807,2,0) = EOVERFLOW
      root sys fcntl @0 F_OFD_SETLK u64(2,0,0,0) = 0
      root sys fcntl @1 F_OFD_SETLK u64(1,0,0,0) = 0
    `,
  },
  {
    name: 'flock of two open files is EAGAIN, a wait for one is interrupted',
    steps: `
      root open 0 /f rw,creat 666
      root open 1 /f r 0
      root sys flock @0 LOCK_SH|LOCK_NB = 0
      root sys flock @1 LOCK_SH|LOCK_NB = 0
      root sys flock @0 LOCK_EX|LOCK_NB = EAGAIN
      root sys flock @1 LOCK_UN = 0
      root sys flock @0 LOCK_EX|LOCK_NB = 0
      root sys flock @1 LOCK_SH|LOCK_NB = EAGAIN
      root interrupted flock @1 LOCK_SH = EINTR
      root sys flock @0 LOCK_UN = 0
      root sys flock @1 LOCK_SH|LOCK_NB = 0
      root sys flock @1 0 = EINVAL
    `,
  },
  {
    name: 'a lease in the way of who does not wait is EAGAIN',
    steps: `
      root open 0 /f rw,creat 666
      root close 0
      root open 0 /f r 0
      root sys fcntl @0 F_SETLEASE 0 = 0
      root sys openat cwd /f O_WRONLY|O_NONBLOCK 0 = EAGAIN
      root sys openat cwd /f O_RDONLY|O_NONBLOCK 0
      root sys fcntl @0 F_SETLEASE 2 = 0
      root sys openat cwd /f O_WRONLY|O_NONBLOCK 0
    `,
  },
]
