/** Pages about opening files, and their sizes. */
import { page } from './page.js'

export const filePages = [
  page(
    'open(2)',
    'open openat',
    `
    EACCES  not allowed to read | member open 1 /f r
    EACCES  not allowed to write | member open 1 /f w
    EACCES  no search on the way | other open 1 /closed
    EACCES  it is to be made, and no write to its directory | owner open 1 /d/x w,creat
    EACCES  protected_fifos and protected_regular ! sysctl
    EBADF   the directory is not open | openat @9
    EBUSY   a block device that is mounted ! device
    EDQUOT  quota ! quota
    EEXIST  O_CREAT and O_EXCL, and it is there | creat,excl
    EFAULT  the path | openat cwd bad
    EFBIG   as EOVERFLOW ! wide
    EINTR   a wait for a FIFO | interrupted openat cwd /fifo
    EINVAL  no O_DIRECT there ! able
    EINVAL  O_CREAT and O_DIRECTORY | creat,directory
    EINVAL  O_TMPFILE that does not write | r,tmpfile
    EINVAL  a name that is none ! names
    EISDIR  to write a directory | open 1 /d w 0
    EISDIR  O_CREAT of a directory | open 1 /d r,creat
    EISDIR  no O_TMPFILE there ! able
    ELOOP   too many symlinks | open 1 /loop
    ELOOP   O_NOFOLLOW, and a symlink | nofollow
    EMFILE  the process has as many as it may
    ENAMETOOLONG  the name | \\{x\\*256\\}
    ENAMETOOLONG  the path | \\{/\\*4092
    ENFILE  the machine has as many as it may ! files
    ENODEV  no device ! device
    ENOENT  it is not there | open 1 /d/none r 0
    ENOENT  a directory is not there | /none/x
    ENOENT  a dead symlink | open 2 /a/b/nothing rw
    ENOENT  no O_TMPFILE there ! able
    ENOENT  a directory that was removed | openat @2
    ENOMEM  a FIFO, for a user who has too many ! machine
    ENOMEM  memory ! memory
    ENOSPC  no room for the new file
    ENOTDIR a file on the way | /file/x
    ENOTDIR O_DIRECTORY, and no directory | r,directory
    ENOTDIR the directory is a file | openat @0
    ENXIO   to write a FIFO that nobody reads, O_NONBLOCK | /fifo O_WRONLY\\|O_NONBLOCK
    ENXIO   no device ! device
    ENXIO   a socket | /socket
    EOPNOTSUPP  no O_TMPFILE there ! able
    EOVERFLOW a size of more bits than the caller knows ! wide
    EPERM   O_NOATIME of who is not the owner | other open 3 /d/f r,noatime
    EPERM   seals ! seals
    EPERM   to write what is immutable | root open 1 /d/f w 0
    EPERM   to write what is append-only, without O_APPEND | root open 1 /d/f rw,append,trunc
    EROFS   to write, mounted for reading | open 1 /d/f w
    EROFS   to make, mounted for reading | open 1 /d/new w,creat
    ETXTBSY to write a program that runs | open 1 /d/p w
    ETXTBSY O_TRUNC of a swap file ! swap
    ETXTBSY what the kernel reads ! modules
    EAGAIN  O_NONBLOCK, and a lease in the way | O_NONBLOCK
    `,
  ),
  page(
    'execve(2), of the file',
    'execute',
    `
    EACCES  no search, or no x | execute /d/q
    EACCES  no regular file | execute /d =
    EACCES  mounted without programs | execute /d/p
    ENOENT  it is not there
    ETXTBSY somebody has it open for writing
    `,
  ),
  page(
    'truncate(2)',
    'truncate ftruncate',
    `
    EACCES  no search on the way | other truncate /closed
    EACCES  not allowed to write | other truncate /d/f
    EFAULT  the path | bad
    EFBIG   more than a file can have | truncate /f 1759
    EFBIG   more than the process may, by path | truncate /f 101
    EFBIG   more than the process may, of an open file | ftruncate 0 101
    EINTR   a signal ! waits
    EINVAL  less than nothing | truncate /d/f -1
    EIO     the medium ! lost
    EISDIR  a directory
    ELOOP   too many symlinks
    ENAMETOOLONG  the name
    ENOENT  it is not there
    ENOTDIR a file on the way
    EPERM   no growing there ! able
    EPERM   seals ! seals
    EPERM   immutable or append-only, by path | root truncate /d/f
    EPERM   append-only, of an open file | root ftruncate 1
    EROFS   mounted for reading
    ETXTBSY a program that runs
    EBADF   it is not open | ftruncate @9
    EINVAL  it is not open for writing | ftruncate 1 0
    EINVAL  no regular file | ftruncate @3
    EBADF   the same, of others ! never
    `,
  ),
  page(
    'close(2)',
    'close',
    `
    EBADF   it is not open
    EINTR   a signal ! never
    EIO     what was written could not be ! lost
    ENOSPC  the same, for want of room ! network
    EDQUOT  the same, by a quota ! quota
    `,
  ),
  page(
    'getdents(2)',
    'getdents64',
    `
    EBADF   it is not open
    EFAULT  the buffer
    EINVAL  the buffer is too small
    ENOENT  the directory was removed
    ENOTDIR no directory
    `,
  ),
  page(
    'readdir(3), opendir(3)',
    'readdir',
    `
    EACCES  not allowed to read | other readdir /wx
    EACCES  no search on the way | other readdir /closed
    ENOENT  it is not there
    ENOTDIR no directory
    ELOOP   too many symlinks
    ENAMETOOLONG  the name
    EMFILE  the process has as many as it may ! machine
    ENFILE  the machine has as many as it may ! files
    ENOMEM  memory ! memory
    `,
  ),
]
