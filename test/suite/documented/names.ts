/** Pages about names: what makes, moves, reads and removes them. */
import { page } from './page.js'

export const namePages = [
  page(
    'link(2)',
    'link linkfd linkat',
    `
    EACCES  no search on the way to the old name | linkat @1|/closed/f /other
    EACCES  no write to the new directory | owner link /d/f /d/x
    EDQUOT  quota ! quota
    EEXIST  the new name is there
    EFAULT  the old path | linkat cwd bad
    EFAULT  the new path | linkat cwd /file cwd bad
    EIO     the medium ! lost
    ELOOP   too many symlinks to the old name | link /one/x
    ELOOP   too many symlinks to the new name | link /file /one/x
    EMLINK  as many links as there can be ! links
    ENAMETOOLONG  the old name | link /\\{x\\*256\\} /other
    ENAMETOOLONG  the new name | link /file /\\{x\\*256\\}
    ENAMETOOLONG  the path | link /file \\{/\\*4092
    ENOENT  a directory is not there, of the old name | link /none/x
    ENOENT  a directory is not there, of the new name | link /file /none/x
    ENOENT  a dead symlink that is followed | link /dead /x follow
    ENOENT  an empty path | link '' /other
    ENOMEM  memory ! memory
    ENOSPC  no room for the name
    ENOTDIR a file on the way to the old name | link /file/x
    ENOTDIR a file on the way to the new name | link /file /file/x
    EPERM   a directory | link /d /e
    EPERM   no hard links there ! able
    EPERM   protected_hardlinks ! sysctl
    EPERM   immutable or append-only | link /d/f /d/g
    EROFS   mounted for reading | link /d/f /d/g
    EXDEV   another filesystem | link /d/f /d/m/x
    EXDEV   another mount of the same | link /d/f /m/x
    EBADF   the old directory is not open | linkat @9
    EBADF   the new directory is not open | linkat cwd /file @9
    EINVAL  flags | linkat
    ENOENT  an empty path of who has not opened it | other sys linkat @0 ''
    ENOENT  made with O_TMPFILE and O_EXCL | linkfd 1 /d/h
    ENOENT  a file that was deleted | linkfd 0 /back
    ENOENT  a directory that was removed | linkat @2 'x'
    ENOTDIR the directory is a file | linkat @0 'x'
    EPERM   an empty path, of a directory | linkat @2 ''
    `,
  ),
  page(
    'mkdir(2)',
    'mkdir mkdirat',
    `
    EACCES  no write to the parent | owner mkdir /d/x
    EACCES  no search on the way | other mkdir /closed
    EBADF   the directory is not open | mkdirat @9
    EDQUOT  quota ! quota
    EEXIST  the name is there | mkdir /d 755
    EEXIST  a symlink, dead or not | mkdir /loop
    EFAULT  the path | bad
    EINVAL  a name that is none ! names
    ELOOP   too many symlinks
    EMLINK  the parent has as many links as there can be ! links
    ENAMETOOLONG  the name | \\{x\\*256\\}
    ENAMETOOLONG  the path | \\{/\\*4092
    ENOENT  a directory is not there | /none/x
    ENOENT  an empty path | mkdir ''
    ENOENT  a directory that was removed | mkdirat @2
    ENOMEM  memory ! memory
    ENOSPC  no room
    ENOTDIR a file on the way | /file/x
    ENOTDIR the directory is a file | mkdirat @0
    EPERM   no directories there ! able
    EPERM   an immutable parent | mkdir /d/s
    EROFS   mounted for reading
    `,
  ),
  page(
    'mknod(2)',
    'mknod mknodat',
    `
    EACCES  no write to the parent | owner mknod /d/x
    EACCES  no search on the way | other mknod /closed
    EBADF   the directory is not open | mknodat @9
    EDQUOT  quota ! quota
    EEXIST  the name is there | mknod /d/f
    EFAULT  the path | bad
    EINVAL  a type that is none | mknod /x 150777|mknod /d/x 150777
    EINVAL  a symlink | mknod /d/x 120777
    ELOOP   too many symlinks
    ENAMETOOLONG  the name | \\{x\\*256\\}
    ENAMETOOLONG  the path | \\{/\\*4092
    ENOENT  a directory is not there | /none/x
    ENOENT  a directory that was removed | mknodat @2
    ENOMEM  memory ! memory
    ENOSPC  no room
    ENOTDIR a file on the way | /file/x
    ENOTDIR the directory is a file | mknodat @0
    EPERM   a device, of who is not privileged | owner mknod /d/device 20644
    EPERM   a directory | mknod /d/x 40755
    EPERM   an immutable parent | mknod /d/s
    EROFS   mounted for reading
    `,
  ),
  page(
    'mkfifo(3)',
    'mknod mknodat',
    `
    EACCES  no write to the parent | mknod \\S+ 10\\d{3}
    EBADF   the directory is not open | mknodat @9 \\S+ S_IFIFO
    EDQUOT  quota ! quota
    EEXIST  the name is there | mknod \\S+ 10\\d{3}
    ENAMETOOLONG  the name | mknodat \\S+ \\S+ S_IFIFO
    ENOENT  a directory is not there | mknodat \\S+ \\S+ S_IFIFO
    ENOSPC  no room | mknod \\S+ 10\\d{3}
    ENOTDIR a file on the way | mknodat cwd /file/x S_IFIFO
    ENOTDIR the directory is a file | mknodat @0 \\S+ S_IFIFO
    EROFS   mounted for reading | mknod \\S+ 10\\d{3}
    `,
  ),
  page(
    'symlink(2)',
    'symlink symlinkat',
    `
    EACCES  no write to the parent | owner symlink a /d/x
    EACCES  no search on the way | other symlink target /closed
    EBADF   the directory is not open | symlinkat 'target' @9
    EDQUOT  quota ! quota
    EEXIST  the name is there
    EFAULT  the target | symlinkat bad
    EFAULT  the path | symlinkat 'target' cwd bad
    EIO     the medium ! lost
    ELOOP   too many symlinks
    ENAMETOOLONG  the target | \\{t\\*4096\\}
    ENAMETOOLONG  the name | \\{x\\*256\\}
    ENOENT  a directory is not there | /none/x
    ENOENT  an empty target | symlink '' /empty
    ENOENT  an empty path | symlink target ''
    ENOENT  a directory that was removed | symlinkat 'target' @2
    ENOMEM  memory ! memory
    ENOSPC  no room
    ENOTDIR a file on the way | /file/x
    ENOTDIR the directory is a file | symlinkat 'target' @0
    EPERM   no symlinks there ! able
    EPERM   an immutable parent | symlink a /d/s
    EROFS   mounted for reading
    `,
  ),
  page(
    'readlink(2)',
    'readlink readlinkat',
    `
    EACCES  no search on the way
    EBADF   the directory is not open | readlinkat @9
    EFAULT  the buffer | readlinkat cwd /l bad
    EFAULT  the path | readlinkat cwd bad
    EINVAL  no bytes of a buffer | &100 0
    EINVAL  no symlink | readlink /d/file
    EIO     the medium ! lost
    ELOOP   too many symlinks
    ENAMETOOLONG  the name
    ENOENT  it is not there | /dir/none
    ENOENT  an empty path | readlink ''
    ENOMEM  memory ! memory
    ENOTDIR a file on the way | /file/x
    ENOTDIR the directory is a file | readlinkat @0
    `,
  ),
  page(
    'unlink(2)',
    'unlink unlinkat',
    `
    EACCES  no write to the directory | owner unlink /d/f
    EACCES  no search on the way | other unlink /closed/f
    EBUSY   a mount point | unlink /d/f
    EFAULT  the path | bad
    EIO     the medium ! lost
    EISDIR  a directory
    ELOOP   too many symlinks
    ENAMETOOLONG  the name
    ENOENT  it is not there | /none
    ENOENT  an empty path | unlink ''
    ENOMEM  memory ! memory
    ENOTDIR a file on the way | /file/x
    EPERM   directories, of POSIX ! never
    EPERM   names cannot be removed there ! able
    EPERM   a sticky directory | other unlink /t/f
    EPERM   immutable or append-only | root unlink /d/f
    EROFS   mounted for reading
    EBADF   the directory is not open | unlinkat @9
    EINVAL  flags
    ENOTDIR the directory is a file | unlinkat @0
    `,
  ),
  page(
    'rmdir(2)',
    'rmdir unlinkat',
    `
    EACCES  no write to the parent | owner rmdir /d/sub
    EACCES  no search on the way | other rmdir /closed
    EBUSY   a mount point | rmdir /d/m
    EBUSY   the root | rmdir / 
    EFAULT  the path | bad AT_REMOVEDIR
    EINVAL  a dot at the end | /dir/\\.
    ELOOP   too many symlinks
    ENAMETOOLONG  the name
    ENOENT  it is not there
    ENOMEM  memory ! memory
    ENOTDIR no directory | rmdir /d/f
    ENOTDIR a file on the way | /file/x
    ENOTEMPTY  names in it | rmdir /d
    ENOTEMPTY  two dots at the end | /dir/sub/\\.\\.
    EPERM   a sticky directory | other rmdir /t/d
    EPERM   no removing there ! able
    EPERM   of an append-only or immutable directory | rmdir /d
    EROFS   mounted for reading
    `,
  ),
  page(
    'rename(2)',
    'rename renameat2',
    `
    EACCES  no write to the old directory | owner rename /d/f /free/x
    EACCES  no write to the new directory | owner rename /free/f /d/x
    EACCES  no search on the way | other rename /closed/f
    EACCES  a directory that changes its parent, without write to it | other rename /a/d /b/d
    EBUSY   the root, or a dot | rename / /x
    EBUSY   a mount point, to be moved | rename /d/m /d/n
    EBUSY   a mount point, to be replaced | rename /d/n /d/m
    EDQUOT  quota ! quota
    EFAULT  the old path | renameat2 cwd bad
    EFAULT  the new path | renameat2 cwd /file cwd bad
    EINVAL  into itself | rename /full /full/x
    EISDIR  a file over a directory | rename /f /d
    ELOOP   too many symlinks to the old name | rename /one/x
    ELOOP   too many symlinks to the new name | rename /file /one/x
    EMLINK  as many links as there can be ! links
    ENAMETOOLONG  the old name | rename /\\{x\\*256\\}
    ENAMETOOLONG  the new name | rename /file /\\{x\\*256\\}
    ENOENT  the old name is not there | rename /none
    ENOENT  a directory of the new name is not there | rename /file /none/x
    ENOENT  an empty path, the old | rename ''
    ENOENT  an empty path, the new | rename /file ''
    ENOMEM  memory ! memory
    ENOSPC  no room for the name
    ENOTDIR a file on the way | /file/x
    ENOTDIR a directory over a file | rename /d /f
    ENOTEMPTY  over a directory with names in it | rename /d /full
    EEXIST  the same, of others ! never
    EPERM   a sticky directory, of the old name | other rename /t/f
    EPERM   a sticky directory, of the new name | other rename /t/o /t/f
    EPERM   immutable or append-only | root rename /d/f
    EROFS   mounted for reading
    EXDEV   another filesystem | rename /d/f /d/m/x
    EXDEV   another mount of the same | rename /d/f /m/x
    EBADF   the old directory is not open | renameat2 @9
    EBADF   the new directory is not open | renameat2 cwd /file @9
    ENOTDIR the old directory is a file | renameat2 @0
    ENOTDIR the new directory is a file | renameat2 cwd /file @0
    ENOENT  a directory that was removed | renameat2 cwd /file @2
    EEXIST  RENAME_NOREPLACE, and it is there | noreplace
    EINVAL  flags | 0x40000000
    EINVAL  RENAME_NOREPLACE and RENAME_EXCHANGE | both|RENAME_NOREPLACE
    EINVAL  RENAME_WHITEOUT and RENAME_EXCHANGE | RENAME_WHITEOUT\\|RENAME_EXCHANGE
    EINVAL  a flag that the filesystem has not | RENAME_WHITEOUT =
    ENOENT  RENAME_EXCHANGE, and it is not there | exchange
    EPERM   RENAME_WHITEOUT without CAP_MKNOD ! never
    `,
  ),
]
