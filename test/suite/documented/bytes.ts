/** Pages about the bytes of open files: reading, writing, places, syncing, locks, mappings. */
import { page } from './page.js'

export const bytePages = [
  page(
    'read(2)',
    'read',
    `
    EAGAIN  O_NONBLOCK, and nothing is there | read @2
    EBADF   it is not open | read @9
    EBADF   it is not open for reading | read @3
    EFAULT  the buffer | read @0 bad
    EINTR   a signal | interrupted read
    EINVAL  it cannot be read: a buffer of the wrong size ! sockets
    EINVAL  O_DIRECT, and no alignment ! alignment
    EIO     the medium ! lost
    EISDIR  a directory
    `,
  ),
  page(
    'write(2)',
    'write',
    `
    EAGAIN  O_NONBLOCK, and no room | write @3
    EBADF   it is not open | write @9
    EBADF   it is not open for writing | write @2
    EDESTADDRREQ  a socket ! sockets
    EDQUOT  quota ! quota
    EFAULT  the buffer | write @0 bad
    EFBIG   more than the process may | write 0 y 100
    EINTR   a signal | interrupted write
    EINVAL  it cannot be written ! sockets
    EINVAL  O_DIRECT, and no alignment ! alignment
    EIO     the medium ! lost
    ENOSPC  no room
    EPERM   seals ! seals
    EPIPE   nobody reads it
    `,
  ),
  page(
    'readv(2)',
    'readv writev preadv2 pwritev2',
    `
    EINVAL  more bytes than a number can count | readv @0 u64\\(&,-1\\)
    EINVAL  fewer than no vectors, or too many | -1 =|1025
    EOPNOTSUPP  flags
    EFAULT  vectors | readv @0 bad
    `,
  ),
  page(
    'pread(2)',
    'read write pread64 pwrite64 preadv2 pwritev2',
    `
    EBADF   it is not open | pread64 @9
    EBADF   it is not open for writing | pwrite64 @2
    EFAULT  the buffer | pread64 @0 bad 10 0
    EFBIG   more than the process may | pwrite64
    EINVAL  less than nothing is the place | pread64 @0 &10 10 -1
    EISDIR  a directory | pread64
    ENOSPC  no room | write
    ESPIPE  a FIFO | pread64
    ENXIO   a place past the end of a device ! device
    EOVERFLOW a place of more bits than the caller knows ! wide
    `,
  ),
  page(
    'lseek(2)',
    'lseek seek',
    `
    EBADF   it is not open
    EINVAL  no such whence | lseek @0 0 17
    EINVAL  before the beginning | lseek @0 -1
    EINVAL  past what a file can have | 9223372036854775807
    ENXIO   SEEK_DATA past the end | seek 0 12288 data
    ENXIO   SEEK_HOLE past the end | seek 0 12288 hole
    ENXIO   SEEK_DATA in the hole at the end | seek 0 0 data
    EOVERFLOW a place of more bits than the caller knows ! wide
    ESPIPE  a FIFO
    `,
  ),
  page(
    'fallocate(2)',
    'fallocate',
    `
    EBADF   it is not open | fallocate @9
    EBADF   it is not open for writing | fallocate 1
    EFBIG   more than a file can have | 9223372036854775807
    EFBIG   FALLOC_FL_INSERT_RANGE past what a file can have | insert
    EFBIG   more than the process may | fallocate @0 0 0 101
    EINTR   a signal ! waits
    EINVAL  a place before the beginning | fallocate 0 grow -1
    EINVAL  no bytes | fallocate 0 grow 0 0
    EINVAL  FALLOC_FL_COLLAPSE_RANGE to the end | collapse 12288 8192
    EINVAL  FALLOC_FL_INSERT_RANGE behind the end | insert 16484
    EINVAL  part of a block, of the place | collapse 100 4096
    EINVAL  part of a block, of the length | insert 4096 100
    EINVAL  FALLOC_FL_COLLAPSE_RANGE with another flag ! changed
    EINVAL  no regular file ! never
    EIO     the medium ! lost
    ENODEV  no regular file: directories are not written, devices not opened ! device
    ENOSPC  no room
    ENOSYS  no such call ! old
    EOPNOTSUPP  a mode that there is not
    EPERM   immutable ! never
    EPERM   append-only | punch 0 4096
    EPERM   seals ! seals
    ESPIPE  a FIFO
    ETXTBSY FALLOC_FL_COLLAPSE_RANGE of a program that runs: who runs it has closed it ! never
    `,
  ),
  page(
    'copy_file_range(2)',
    'copy copy_file_range',
    `
    EBADF   one of them is not open | copy_file_range @9
    EBADF   the source is not open for reading | copy 2 0 1 0 5
    EBADF   the destination is not open for writing | copy 0 0 2 0 5
    EBADF   the destination is open with O_APPEND | copy 0 0 2 0 5
    EFAULT  the places | copy_file_range @0 bad
    EFBIG   past what a file can have | 9223372036854775807
    EFBIG   more than the process may | copy_file_range @1 null @0 null 10
    EINVAL  flags | 10 1 =
    EINVAL  the ranges overlap | copy 0 0 0 50 100
    EINVAL  no regular file | copy_file_range @2
    EIO     the medium ! lost
    EISDIR  a directory
    ENOMEM  memory ! memory
    ENOSPC  no room
    EOPNOTSUPP  not there ! able
    EOVERFLOW the end is no number
    EPERM   the destination is immutable ! never
    ETXTBSY a swap file ! swap
    EXDEV   another filesystem
    `,
  ),
  page(
    'fsync(2)',
    'fsync fdatasync syncfs',
    `
    EBADF   it is not open
    EINTR   a signal ! never
    EIO     what was written could not be ! lost
    ENOSPC  the same, for want of room ! network
    EROFS   no file ! never
    EINVAL  a FIFO
    EDQUOT  the same, by a quota ! quota
    `,
  ),
  page(
    'sync_file_range(2)',
    'sync_file_range',
    `
    EBADF   it is not open
    EINVAL  flags | 0x40000000
    EINVAL  a place before the beginning | @0 -1
    EINVAL  fewer than no bytes | @0 0 -1
    EIO     the medium ! lost
    ENOMEM  memory ! memory
    ENOSPC  no room ! network
    ESPIPE  no file
    `,
  ),
  page(
    'posix_fadvise(2)',
    'fadvise64',
    `
    EBADF   it is not open
    EINVAL  no such advice
    ESPIPE  a FIFO
    `,
  ),
  page(
    'readahead(2)',
    'readahead',
    `
    EBADF   it is not open for reading | readahead @3
    EINVAL  no file that has pages
    `,
  ),
  page(
    'flock(2)',
    'flock',
    `
    EBADF   it is not open
    EINTR   a signal | interrupted
    EINVAL  no such operation
    ENOLCK  memory ! memory
    EAGAIN  LOCK_NB, and somebody has it
    `,
  ),
  page(
    'fcntl(2), of locks and files',
    'fcntl',
    `
    EAGAIN  somebody has it | F_SETLK|F_OFD_SETLK
    EACCES  the same, of others ! never
    EAGAIN  mapped by another ! mapped
    EBADF   it is not open | fcntl @9
    EBADF   to lock for reading what is open for writing alone | fcntl @3 F_SETLK
    EBADF   to lock for writing what is open for reading alone | fcntl @2 F_SETLK
    EDEADLK who waits for him who waits ! deadlock
    EFAULT  the lock | bad
    EINTR   a wait | F_SETLKW
    EINTR   a wait, of an open file | F_OFD_SETLKW
    EINTR   no wait ! network
    EINVAL  no such command | 0x4000
    EINVAL  a process, with a lock of an open file | F_OFD_SETLK u64\\(1,0,10,7\\)
    EINVAL  no such lock | F_SETLK u64\\(7
    EINVAL  a place before the beginning | F_SETLK u64\\(1,-1
    ENOLCK  too many locks ! machine
    ENOTDIR F_NOTIFY of no directory
    EOVERFLOW a place past what can be locked
    EPERM   to take O_APPEND from an append-only file | F_SETFL
    EBUSY   pipes and seals ! seals
    EMFILE  F_DUPFD ! machine
    `,
  ),
  page(
    'mmap(2), of files',
    'mmap',
    `
    EACCES  it is not open for reading | mmap 0 4096 PROT_READ MAP_SHARED @3
    EACCES  to store, and it is not open for both | mmap 0 4096 PROT_READ\\|PROT_WRITE MAP_SHARED @2
    EACCES  to store to what is append-only | mmap 0 4096 PROT_READ\\|PROT_WRITE MAP_SHARED @0
    EAGAIN  locked ! mapped
    EBADF   it is not open
    EEXIST  MAP_FIXED_NOREPLACE ! machine
    EINVAL  a place within a page | @0 100
    EINVAL  no bytes | mmap 0 0
    EINVAL  neither shared nor private | PROT_READ 0 @0
    ENFILE  files of the machine ! files
    ENODEV  what has no pages
    ENOMEM  more than there are addresses
    EOPNOTSUPP  flags that this file has not | MAP_SYNC
    EOVERFLOW a program of 32 bits ! wide
    EPERM   to execute what is mounted without programs
    ETXTBSY MAP_DENYWRITE ! never
    `,
  ),
  page(
    'ioctl(2)',
    'ioctl',
    `
    EBADF   it is not open
    EFAULT  the argument
    ENOTTY  no such request
    EINVAL  an argument that is none: requests about files say EOPNOTSUPP ! never
    `,
  ),
]
