/** Cases of programs alone: flags, numbers and names of attributes that there are not. */
import type { PosixCase } from './posix.js'

const PLACES = `
  root mkdir /d 777
  root open 0 /d/f rw,creat 666
  root write 0 content 0
  root open 1 /d/g rw,creat 666
  root symlink f /d/l
`

export const flagCases: PosixCase[] = [
  {
    name: 'flags that there are not are EINVAL for every system call that has flags',
    steps: `
      ${PLACES}
      root sys fchownat cwd /d/f 5 5 0x40000000 = EINVAL
      root sys linkat cwd /d/f cwd /d/n 0x40000000 = EINVAL
      root sys unlinkat cwd /d/f 0x40000000 = EINVAL
      root sys renameat2 cwd /d/f cwd /d/n 0x40000000 = EINVAL
      root sys renameat2 cwd /d/f cwd /d/g RENAME_NOREPLACE|RENAME_EXCHANGE = EINVAL
      root sys renameat2 cwd /d/f cwd /d/g RENAME_WHITEOUT|RENAME_EXCHANGE = EINVAL
      root sys utimensat cwd /d/f null 0x40000000 = EINVAL
      root sys utimensat @0 null null AT_SYMLINK_NOFOLLOW = EINVAL
      root sys faccessat2 cwd /d/f 0 0x40000000 = EINVAL
      root sys faccessat2 cwd /d/f 8 0 = EINVAL
      root sys newfstatat cwd /d/f &256 0x40000000 = EINVAL
      root sys statx cwd /d/f 0x40000000 STATX_BASIC_STATS &256 = EINVAL
      root sys statx cwd /d/f 0 STATX__RESERVED &256 = EINVAL
      root sys openat cwd /d O_RDONLY|O_TMPFILE 0600 = EINVAL
      root sys openat cwd /d O_RDONLY|O_CREAT|O_DIRECTORY 0600 = EINVAL
      root sys preadv2 @0 u64(&,1) 1 0 0 0x40000000 = EOPNOTSUPP
      root sys pwritev2 @0 u64(&,1) 1 0 0 0x40000000 = EOPNOTSUPP
      root sys readv @0 u64(&,1) -1 = EINVAL
      root sys writev @0 u64(&,1) 1025 = EINVAL
      root sys readv @0 u64(&,-1) 1 = EINVAL
      root sys lseek @0 0 17 = EINVAL
      root sys fallocate @0 0x40000000 0 10 = EOPNOTSUPP
      root sys fallocate @0 FALLOC_FL_PUNCH_HOLE 0 10 = EOPNOTSUPP
      root sys copy_file_range @0 null @1 null 10 1 = EINVAL
      root sys sync_file_range @0 0 10 0x40000000 = EINVAL
      root sys sync_file_range @0 -1 10 0 = EINVAL
      root sys sync_file_range @0 0 -1 0 = EINVAL
      root sys setxattr /d/f 'user.a' 'v' 1 4 = EINVAL
      root sys flock @0 0x40 = EINVAL
      root sys fcntl @0 0x4000 0 = EINVAL
      root sys fadvise64 @0 0 10 77 = EINVAL
      root sys mmap 0 4096 PROT_READ 0 @0 0 = EINVAL
      root sys mmap 0 4096 PROT_READ MAP_SHARED_VALIDATE|MAP_SYNC @0 0 = EOPNOTSUPP
      root sys mmap 0 0 PROT_READ MAP_PRIVATE @0 0 = EINVAL
      root sys mmap 0 4096 PROT_READ MAP_PRIVATE @0 100 = EINVAL
      root sys mmap 0 -4096 PROT_READ MAP_PRIVATE @0 0 = ENOMEM
      root sys ioctl @0 0x12345678 &100 = ENOTTY
      root stat /d/f nlink,uid = 1 0
      root readdir /d = f g l
    `,
  },
  {
    name: 'chmod of a symlink itself is EOPNOTSUPP, of a descriptor by its flags',
    steps: `
      ${PLACES}
      root sys fchmodat2 cwd /d/l 0600 AT_SYMLINK_NOFOLLOW = EOPNOTSUPP
      root sys fchmodat2 cwd /d/f 0600 0x40000000 = EINVAL
      root sys fchmodat2 cwd /d/f 0640 AT_SYMLINK_NOFOLLOW
      root stat /d/f mode = 100640
      root lstat /d/l mode = 120777
      root sys fchmodat2 @0 '' 0600 AT_EMPTY_PATH
      root stat /d/f mode = 100600
    `,
  },
  {
    name: 'times outside of a second are EINVAL, by whoever they are asked for',
    steps: `
      ${PLACES}
      root sys utimensat cwd /d/f u64(1,1000000000,1,0) 0 = EINVAL
      root sys utimensat cwd /d/f u64(1,0,1,-1) 0 = EINVAL
      root sys utimensat @0 null u64(1,0,1,4000000000) 0 = EINVAL
      other sys utimensat cwd /d/f u64(1,1000000000,1,0) 0 = EINVAL
      other sys utimensat cwd /d/f u64(1,0,1,0) 0 = EPERM
      root chmod /d/f 644
      other sys utimensat cwd /d/f null 0 = EACCES
      other sys utimensat @0 null null 0 = EACCES
      other sys utimensat cwd /d/f u64(0,UTIME_OMIT,0,UTIME_OMIT) 0
      root sys utimensat cwd /d/f u64(5,UTIME_OMIT,7,999999999) 0
      root stat /d/f mtime = 7.999999999
    `,
  },
  {
    name: 'a buffer too small for an attribute or a list of them is ERANGE; of a link EINVAL at 0',
    steps: `
      ${PLACES}
      root setxattr /d/f user.a value
      root sys getxattr /d/f 'user.a' &100 4 = ERANGE
      root sys fgetxattr @0 'user.a' &100 4 = ERANGE
      root sys getxattr /d/f 'user.a' &100 5 = 5
      root sys listxattr /d/f &100 6 = ERANGE
      root sys flistxattr @0 &100 6 = ERANGE
      root sys llistxattr /d/f &100 7 = 7
      root sys getxattr /d/f 'user.{n*251}' &100 100 = ERANGE
      root sys setxattr /d/f 'user.{n*251}' 'v' 1 0 = ERANGE
      root sys removexattr /d/f 'user.{n*251}' = ERANGE
      root sys setxattr /d/f 'user.b' &65537 65537 0 = E2BIG
      root sys getxattr /d/f 'none.a' &100 100 = EOPNOTSUPP
      root sys setxattr /d/f 'user.a' 'v' 1 XATTR_CREATE = EEXIST
      root sys setxattr /d/f 'user.b' 'v' 1 XATTR_REPLACE = ENODATA
      root sys fsetxattr @0 'user.a' 'v' 1 XATTR_CREATE = EEXIST
      root sys fremovexattr @0 'user.b' = ENODATA
      root sys readlinkat cwd /d/l &100 0 = EINVAL
      root sys readlinkat cwd /d/l &100 -1 = EINVAL
      root sys readlinkat cwd /d/l &100 1 = 1
      root sys readlinkat @0 '' &100 100 = ENOENT
      root sys 3=openat cwd /d/l O_PATH|O_NOFOLLOW 0
      root sys readlinkat @3 '' &100 100 = 1
    `,
  },
  {
    name: 'seeking stays in what a file can have',
    steps: `
      ${PLACES}
      root sys lseek @0 -1 SEEK_SET = EINVAL
      root sys lseek @0 -8 SEEK_END = EINVAL
      root sys lseek @0 100 SEEK_END = 107
      root sys lseek @0 -108 SEEK_CUR = EINVAL
      root sys lseek @0 7 SEEK_DATA = ENXIO
      root sys lseek @0 7 SEEK_HOLE = ENXIO
      root sys lseek @0 -1 SEEK_DATA = ENXIO
      root sys lseek @0 0 SEEK_DATA = 0
      root sys lseek @0 0 SEEK_HOLE = 7
      root sys pread64 @0 &10 10 -1 = EINVAL
      root sys pwrite64 @0 'x' 1 -1 = EINVAL
      root sys preadv2 @0 u64(&,10) 1 -2 0 0 = EINVAL
      root sys lseek @0 9223372036854775807 SEEK_END = EINVAL
    `,
  },
  {
    name: 'a rename that leaves a whiteout is EINVAL where there are none',
    steps: `
      ${PLACES}
      owner sys renameat2 cwd /d/f cwd /d/n RENAME_WHITEOUT = EINVAL
      root stat /d/n = ENOENT
    `,
  },
  {
    name: 'a link by an empty path is of who opened it, and never of a directory',
    steps: `
      ${PLACES}
      root sys 2=openat cwd /d O_RDONLY|O_DIRECTORY 0
      root sys linkat @2 '' cwd /d/n AT_EMPTY_PATH = EPERM
      other sys linkat @0 '' cwd /d/n AT_EMPTY_PATH = ENOENT
      root sys linkat @0 '' cwd /d/n 0 = ENOENT
      root sys linkat @0 '' cwd /d/n AT_EMPTY_PATH
      root stat /d/n nlink = 2
    `,
  },
  {
    name: 'what is append-only keeps O_APPEND, and F_NOTIFY wants a directory',
    steps: `
      ${PLACES}
      root sys fcntl @0 F_NOTIFY 1 = ENOTDIR
      root chattr /d/f +a
      root sys 2=openat cwd /d/f O_WRONLY|O_APPEND 0
      root sys fcntl @2 F_SETFL 0 = EPERM
      root sys mmap 0 4096 PROT_READ|PROT_WRITE MAP_SHARED @0 0 = EACCES
      root chattr /d/f -a
      root sys fcntl @2 F_SETFL 0
    `,
  },
]
