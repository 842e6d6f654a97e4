/** Cases of programs alone: descriptors that are none, of other kinds, or at addresses of none. */
import type { PosixCase } from './posix.js'

/** F is a descriptor. */
const READING = [
  'read F &100 10',
  'pread64 F &100 10 0',
  'readv F u64(&,10) 1',
  'preadv2 F u64(&,10) 1 0 0 0',
  'readahead F 0 4096',
]
const WRITING = [
  "write F 'x' 1",
  "pwrite64 F 'x' 1 0",
  'writev F u64(&,10) 1',
  'pwritev2 F u64(&,10) 1 0 0 0',
  'fallocate F 0 0 10',
]
/** What takes a descriptor for reading or writing, but not O_PATH. */
const OPEN = [
  'fchmod F 0600',
  'fchown F -1 -1',
  "fgetxattr F 'user.a' &100 100",
  "fsetxattr F 'user.a' 'v' 1 0",
  'flistxattr F &100 100',
  "fremovexattr F 'user.a'",
  'ftruncate F 0',
  'fsync F',
  'fdatasync F',
  'syncfs F',
  'sync_file_range F 0 10 0',
  'lseek F 0 SEEK_SET',
  'getdents64 F &1000 1000',
  'flock F LOCK_SH|LOCK_NB',
  'fcntl F F_SETLK u64(0,0,0,0)',
  'fcntl F F_GETLK u64(0,0,0,0)',
  'fcntl F F_OFD_SETLK u64(0,0,0,0)',
  'fadvise64 F 0 0 0',
  'mmap 0 4096 PROT_READ MAP_SHARED F 0',
  'ioctl F FS_IOC_GETFLAGS &4',
  'utimensat F null null 0',
]
/** What an O_PATH descriptor does, too. */
const ANY = ['fstatfs F &256', 'fstat F &256', 'fchdir F', 'close F']
const COPYING = ['copy_file_range F null @1 null 10 0', 'copy_file_range @1 null F null 10 0']

const each = (calls: readonly string[], fd: string, errno: string) =>
  calls.map((one) => `root sys ${one.replace(/\bF\b/, fd)} = ${errno}`).join('\n')

const FILES = `
  root open 0 /f rw,creat 666
  root write 0 content 0
  root open 1 /g rw,creat 666
`

export const handleCases: PosixCase[] = [
  {
    name: 'what is not open is EBADF for every system call, and what was opened with O_PATH',
    steps: `
      ${FILES}
      ${each([...READING, ...WRITING, ...OPEN, ...ANY, ...COPYING], '@9', 'EBADF')}
      root sys 2=openat cwd /f O_PATH 0
      ${each([...READING, ...WRITING, ...OPEN, ...COPYING], '@2', 'EBADF')}
      root sys fstat @2 &256
      root sys fstatfs @2 &256
      root sys newfstatat @2 '' &256 AT_EMPTY_PATH
      root sys fchownat @2 '' 5 5 AT_EMPTY_PATH
      root stat /f uid,gid,size = 5 5 7
      root sys linkat @2 '' cwd /h AT_EMPTY_PATH
      root stat /h nlink = 2
    `,
  },
  {
    name: 'what was opened for the other is EBADF to read or to write',
    steps: `
      ${FILES}
      root sys 2=openat cwd /f O_RDONLY 0
      root sys 3=openat cwd /f O_WRONLY 0
      ${each([...WRITING, 'copy_file_range @1 null F null 10 0'], '@2', 'EBADF')}
      ${each([...READING, 'copy_file_range F null @1 null 10 0'], '@3', 'EBADF')}
      root sys ftruncate @2 0 = EINVAL
      root sys mmap 0 4096 PROT_READ MAP_SHARED @3 0 = EACCES
      root sys mmap 0 4096 PROT_READ|PROT_WRITE MAP_SHARED @2 0 = EACCES
      root sys fcntl @2 F_SETLK u64(1,0,0,0) = EBADF
      root sys fcntl @3 F_SETLK u64(0,0,0,0) = EBADF
      root sys fcntl @2 F_OFD_SETLK u64(1,0,0,0) = EBADF
      root sys flock @2 LOCK_EX|LOCK_NB
      root sys flock @2 LOCK_UN
    `,
  },
  {
    name: 'a directory is read by getdents alone, and nothing else is',
    steps: `
      ${FILES}
      root mkdir /d 755
      root sys 2=openat cwd /d O_RDONLY|O_DIRECTORY 0
      root sys read @2 &100 10 = EISDIR
      root sys pread64 @2 &100 10 0 = EISDIR
      root sys readv @2 u64(&,10) 1 = EISDIR
      root sys write @2 'x' 1 = EBADF
      root sys ftruncate @2 0 = EINVAL
      root sys truncate /d 0 = EISDIR
      root sys copy_file_range @2 null @1 null 10 0 = EISDIR
      root sys copy_file_range @1 null @2 null 10 0 = EISDIR
      root sys mmap 0 4096 PROT_READ MAP_SHARED @2 0 = ENODEV
      root sys getdents64 @0 &1000 1000 = ENOTDIR
      root sys getdents64 @2 &1000 10 = EINVAL
      root sys fsync @2 = 0
      root sys fdatasync @2 = 0
      root sys lseek @2 0 SEEK_SET = 0
      root sys openat cwd /d O_WRONLY 0 = EISDIR
      root sys openat cwd /d O_RDWR|O_CREAT 0644 = EISDIR
      root rmdir /d
      root sys lseek @2 0 SEEK_SET = 0
      root sys getdents64 @2 &1000 1000 = ENOENT
      root sys fchmod @2 0700
      root sys fsync @2 = 0
    `,
  },
  {
    name: 'a FIFO has no place to seek to, and nobody at its other end',
    steps: `
      ${FILES}
      root mknod /fifo 10666 0
      root mknod /socket 140666 0
      root sys openat cwd /fifo O_WRONLY|O_NONBLOCK 0 = ENXIO
      root sys openat cwd /socket O_RDWR 0 = ENXIO
      root sys openat cwd /socket O_RDONLY 0 = ENXIO
      root interrupted openat cwd /fifo O_RDONLY 0 = EINTR
      root sys 2=openat cwd /fifo O_RDONLY|O_NONBLOCK 0
      root sys 3=openat cwd /fifo O_WRONLY|O_NONBLOCK 0
      root sys lseek @2 0 SEEK_SET = ESPIPE
      root sys pread64 @2 &100 10 0 = ESPIPE
      root sys pwrite64 @3 'x' 1 0 = ESPIPE
      root sys preadv2 @2 u64(&,10) 1 0 0 0 = ESPIPE
      root sys fallocate @3 0 0 10 = ESPIPE
      root sys fadvise64 @2 0 0 0 = ESPIPE
      root sys sync_file_range @2 0 0 0 = ESPIPE
      root sys fsync @2 = EINVAL
      root sys ftruncate @3 0 = EINVAL
      root sys truncate /fifo 0 = EINVAL
      root sys copy_file_range @2 null @1 null 10 0 = EINVAL
      root sys copy_file_range @0 null @3 null 10 0 = EINVAL
      root sys readahead @2 0 10 = EINVAL
      root sys getdents64 @2 &1000 1000 = ENOTDIR
      root sys mmap 0 4096 PROT_READ MAP_SHARED @2 0 = ENODEV
      root sys read @2 &100 10 = EAGAIN
      root sys write @3 'x' 1 = 1
      root sys write @3 '{x*65536}' 65536
      root sys write @3 'x' 1 = EAGAIN
      root sys fcntl @3 F_SETFL 0
      root interrupted write @3 'x' 1 = EINTR
      root sys read @2 &100000 65536
      root sys fcntl @2 F_SETFL 0
      root interrupted read @2 &100 10 = EINTR
      root sys close @2
      root sys write @3 'x' 1 = EPIPE
    `,
  },
  {
    name: 'bytes at an address where nothing is are EFAULT, and leave the file as it was',
    steps: `
      ${FILES}
      root mkdir /d 755
      root symlink f /l
      root setxattr /f user.a value
      root sys read @0 bad 10 = EFAULT
      root sys pread64 @0 bad 10 0 = EFAULT
      root sys readv @0 bad 1 = EFAULT
      root sys readv @0 u64(8,10) 1 = EFAULT
      root sys preadv2 @0 u64(8,10) 1 0 0 0 = EFAULT
      root sys write @0 bad 10 = EFAULT
      root sys pwrite64 @0 bad 10 0 = EFAULT
      root sys writev @0 u64(8,10) 1 = EFAULT
      root sys pwritev2 @0 u64(8,10) 1 0 0 0 = EFAULT
      root sys copy_file_range @0 bad @1 null 10 0 = EFAULT
      root sys copy_file_range @0 null @1 bad 10 0 = EFAULT
      root sys 2=openat cwd /d O_RDONLY|O_DIRECTORY 0
      root sys getdents64 @2 bad 1000 = EFAULT
      root sys newfstatat cwd /f bad 0 = EFAULT
      root sys fstat @0 bad = EFAULT
      root sys statx cwd /f 0 STATX_BASIC_STATS bad = EFAULT
      root sys statfs /f bad = EFAULT
      root sys fstatfs @0 bad = EFAULT
      root sys readlinkat cwd /l bad 100 = EFAULT
      root sys utimensat cwd /f bad 0 = EFAULT
      root sys getxattr /f 'user.a' bad 100 = EFAULT
      root sys getxattr /f bad &100 100 = EFAULT
      root sys setxattr /f 'user.a' bad 5 0 = EFAULT
      root sys setxattr /f bad 'v' 1 0 = EFAULT
      root sys listxattr /f bad 100 = EFAULT
      root sys removexattr /f bad = EFAULT
      root sys fcntl @0 F_SETLK bad = EFAULT
      root sys fcntl @0 F_GETLK bad = EFAULT
      root sys ioctl @0 FS_IOC_GETFLAGS bad = EFAULT
      root read 0 20 0 = content
      root getxattr /f user.a = value
      root stat /g size = 0
      root sys getdents64 @2 &1000 1000
    `,
  },
  {
    name: 'addresses are looked at only where there is something to give',
    steps: `
      ${FILES}
      root sys read @0 bad 0 = 0
      root sys write @0 bad 0 = 0
      root sys pread64 @0 bad 10 7 = 0
      root sys pread64 @0 bad 10 100 = 0
      root sys getxattr /f 'user.a' bad 0 = ENODATA
      root sys setxattr /f 'user.a' 'v' 1 0
      root sys getxattr /f 'user.a' bad 0 = 1
      root sys listxattr /f bad 0 = 7
    `,
  },
]
