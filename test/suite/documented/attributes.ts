/** Pages about attributes: mode, owner, times, extended ones, and what looks at them. */
import { page } from './page.js'

/** What stat(2) has, and all calls on attributes by a path. */
const BY_PATH = `
    EACCES  no search on the way
    EFAULT  the path | bad
    ELOOP   too many symlinks
    ENAMETOOLONG  the name
    ENOENT  it is not there | /none
    ENOENT  an empty path | ''
    ENOMEM  memory ! memory
    ENOTDIR a file on the way | /file/x
`

export const attributePages = [
  page(
    'chmod(2)',
    'chmod fchmod fchmodat fchmodat2',
    `
    ${BY_PATH}
    EBADF   the file is not open | fchmod @9
    EBADF   the directory is not open | fchmodat @9
    EINVAL  flags | fchmodat2 cwd /d/f 0600 0x40000000
    EIO     the medium ! lost
    ENOTDIR the directory is a file | fchmodat @0
    EOPNOTSUPP  of a symlink itself | fchmodat2 cwd /d/l
    EPERM   who is not the owner, by path | other chmod /d/f
    EPERM   who is not the owner, of an open file | owner fchmod 1
    EPERM   immutable or append-only | root chmod /d/f 600
    EROFS   mounted for reading, by path | root chmod /d/f
    EROFS   mounted for reading, of an open file | fchmod 0
    `,
  ),
  page(
    'chown(2)',
    'chown lchown fchown fchownat',
    `
    ${BY_PATH}
    EBADF   the file is not open | fchown @9
    EBADF   the directory is not open | fchownat @9
    EINVAL  flags | fchownat cwd /d/f 5 5 0x40000000
    EIO     the medium ! lost
    ENOTDIR the directory is a file | fchownat @0
    EPERM   who gives away what is his | owner chown /d/f 1002 -1
    EPERM   a group that is none of the owner's | owner chown /d/f -1 1002
    EPERM   who is not the owner | other chown /d/f -1 1003
    EPERM   who is not the owner, of a symlink | other lchown
    EPERM   who is not the owner, of an open file | owner fchown 1
    EPERM   immutable or append-only | root chown /d/f 0 0
    EROFS   mounted for reading, by path | root chown /d/f
    EROFS   mounted for reading, of a symlink | root lchown /d/l
    EROFS   mounted for reading, of an open file | fchown 0
    `,
  ),
  page(
    'utimensat(2)',
    'utimes lutimes futimes utimensat',
    `
    ${BY_PATH}
    EACCES  now, of who may not write | other utimes /d/f now now
    EACCES  now, of who may not write, by a null pointer | other sys utimensat cwd /d/f null
    EACCES  now, of an open file | owner futimes 1 now now
    EBADF   the file is not open | utimensat @9 null
    EBADF   the directory is not open | utimensat @9 'x'
    EFAULT  the times | utimensat cwd /f bad
    EINVAL  flags | utimensat cwd /d/f null 0x40000000
    EINVAL  nanoseconds | 1000000000
    EINVAL  no path, and AT_SYMLINK_NOFOLLOW | utimensat @0 null null AT_SYMLINK_NOFOLLOW
    ENOTDIR the directory is a file | utimensat @0
    EPERM   times of who is not the owner | other utimes /d/f 5 5
    EPERM   one of the two now | member utimes /d/f now omit
    EPERM   of an open file, of who is not the owner | owner futimes 1 5 5
    EPERM   immutable or append-only | root utimes /d/f 5 5
    EROFS   mounted for reading, by path | root utimes /d/f 5 5
    EROFS   mounted for reading, now | root utimes /d/f now now
    EROFS   mounted for reading, of an open file | futimes 0
    ESRCH   no search on the way ! never
    `,
  ),
  page(
    'access(2)',
    'access faccessat2',
    `
    ${BY_PATH}
    EACCES  not allowed to read | owner access /f 4
    EACCES  not allowed to write | access /f 2
    EACCES  not allowed to execute | root access /f 1
    EBADF   the directory is not open | faccessat2 @9
    EINVAL  a mode that is none | faccessat2 cwd /d/f 8 0
    EINVAL  flags | faccessat2 cwd /d/f 0 0x40000000
    EIO     the medium ! lost
    ENOTDIR the directory is a file | faccessat2 @0
    EPERM   to write an immutable file | access /d/f 2
    EROFS   to write, mounted for reading | access /d/f 2
    ETXTBSY to write a program that runs ! never
    `,
  ),
  page(
    'stat(2)',
    'stat lstat fstat newfstatat',
    `
    ${BY_PATH}
    EBADF   the file is not open | fstat @9
    EBADF   the directory is not open | newfstatat @9
    EFAULT  the buffer | newfstatat cwd /f bad
    EINVAL  flags | newfstatat cwd /d/f &256 0x40000000
    ENOTDIR the directory is a file | newfstatat @0
    EOVERFLOW a size of more bits than the caller knows ! wide
    `,
  ),
  page(
    'statx(2)',
    'statx',
    `
    ${BY_PATH}
    EBADF   the directory is not open | statx @9
    EFAULT  the buffer | STATX_BASIC_STATS bad
    EINVAL  flags | statx cwd /d/f 0x40000000
    EINVAL  a reserved bit of the mask | STATX__RESERVED
    ENOTDIR the directory is a file | statx @0
    `,
  ),
  page(
    'statfs(2)',
    'statfs fstatfs',
    `
    ${BY_PATH}
    EBADF   the file is not open | fstatfs @9
    EFAULT  the buffer | statfs /f bad
    EINTR   a signal ! never
    EIO     the medium ! lost
    ENOSYS  not supported ! able
    EOVERFLOW more than the caller's numbers hold ! wide
    `,
  ),
  page(
    'chdir(2)',
    'chdir fchdir',
    `
    ${BY_PATH}
    EACCES  no search of the directory | owner sys chdir /shut
    EACCES  no search of the open directory | owner sys fchdir @1
    EBADF   the directory is not open | fchdir @9
    EIO     the medium ! lost
    ENOTDIR no directory | chdir /f
    ENOTDIR no directory is open | fchdir @0
    `,
  ),
  page(
    'setxattr(2)',
    'setxattr lsetxattr fsetxattr',
    `
    ${BY_PATH}
    EBADF   the file is not open | fsetxattr @9
    EDQUOT  quota ! quota
    EEXIST  XATTR_CREATE, and it is there | create
    EINVAL  flags | setxattr /d/f 'user.a' 'v' 1 4
    EINVAL  no name behind user. | setxattr /d/f user\\. x
    ENODATA XATTR_REPLACE, and it is not there | replace
    ENOSPC  no room
    EOPNOTSUPP  a namespace that there is not | other\\.a
    EOPNOTSUPP  no attributes there ! able
    EPERM   immutable or append-only | root setxattr /d/f user\\.a
    EPERM   of a symlink | lsetxattr /d/l user\\.a
    EPERM   trusted ones, of who is not privileged | owner setxattr /d/f trusted\\.a
    EACCES  who may not write | other setxattr /d/f user\\.a
    ERANGE  the name is too long
    E2BIG   the value is too long | 65537
    EFAULT  the name | setxattr /f bad
    EFAULT  the value | setxattr /f 'user.a' bad
    EROFS   mounted for reading
    `,
  ),
  page(
    'getxattr(2)',
    'getxattr lgetxattr fgetxattr',
    `
    ${BY_PATH}
    E2BIG   a value that cannot be told ! fits
    EBADF   the file is not open | fgetxattr @9
    EFAULT  the name | getxattr /f bad
    EFAULT  the buffer | getxattr /f 'user.a' bad
    ENODATA it is not there
    ENODATA who may not know of it | owner getxattr /d/f trusted\\.a
    EACCES  who may not read | owner getxattr /d/f user\\.a
    EOPNOTSUPP  a namespace that there is not | none\\.a|other\\.a
    ERANGE  the buffer is too small | &100 4
    `,
  ),
  page(
    'listxattr(2)',
    'listxattr llistxattr flistxattr',
    `
    ${BY_PATH}
    E2BIG   a list that cannot be told ! fits
    EBADF   the file is not open | flistxattr @9
    EFAULT  the buffer | listxattr /f bad
    EOPNOTSUPP  no attributes there ! able
    ERANGE  the buffer is too small
    `,
  ),
  page(
    'removexattr(2)',
    'removexattr lremovexattr fremovexattr',
    `
    ${BY_PATH}
    EBADF   the file is not open | fremovexattr @9
    EFAULT  the name | removexattr /f bad
    ENODATA it is not there
    EOPNOTSUPP  a namespace that there is not
    EPERM   immutable or append-only | root removexattr /d/f user\\.a
    EPERM   trusted ones, of who is not privileged | owner removexattr /d/f trusted\\.a
    EACCES  who may not write | other removexattr /d/f user\\.a
    EROFS   mounted for reading
    `,
  ),
]
