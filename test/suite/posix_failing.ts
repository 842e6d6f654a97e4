/** Cases: a call that fails moves no time, and changes nothing that can be seen. */
import type { PosixCase } from './posix.js'

/** Each with what it fails with; handle 0 is /d/f for both, 1 for reading, 2 a directory. */
const FAILING = [
  'other chmod /d/f 777 = EPERM',
  'other chown /d/f 1003 1003 = EPERM',
  'owner chown /d/f 1002 -1 = EPERM',
  'other lchown /d/l -1 1001 = EPERM',
  'other utimes /d/f 5 5 = EPERM',
  'other utimes /d/f now now = EACCES',
  'other truncate /d/f 0 = EACCES',
  'owner truncate /d/f -1 = EINVAL',
  'owner truncate /d/e 0 = EISDIR',
  'owner ftruncate 1 0 = EINVAL',
  'owner write 1 x 0 = EBADF',
  'owner read 2 10 0 = EISDIR',
  'owner fallocate 0 grow 0 0 = EINVAL',
  'owner fallocate 1 grow 0 10 = EBADF',
  'owner copy 0 0 0 1 5 = EINVAL',
  'owner copy 0 0 1 0 5 = EBADF',
  'owner seek 0 100 data = ENXIO',
  'other open 3 /d/f r,trunc 0 = EACCES',
  'other open 3 /d/f w 0 = EACCES',
  'owner open 3 /d/f w,creat,excl 644 = EEXIST',
  'owner open 3 /d/l r,nofollow 0 = ELOOP',
  'owner open 3 /d/f r,directory 0 = ENOTDIR',
  'owner open 3 /d/e w 0 = EISDIR',
  'other open 3 /d/new w,creat 644 = EACCES',
  'other open 3 /d rw,tmpfile 644 = EACCES',
  'owner mkdir /d/e 755 = EEXIST',
  'other mkdir /d/new 755 = EACCES',
  'owner mkdir /d/none/new 755 = ENOENT',
  'owner mkdir /d/{x*256} 755 = ENAMETOOLONG',
  'other mknod /d/new 10644 0 = EACCES',
  'owner mknod /d/new 20644 259 = EPERM',
  'owner mknod /d/f 10644 0 = EEXIST',
  'other symlink x /d/new = EACCES',
  'owner symlink x /d/f = EEXIST',
  'owner link /d/f /d/e = EEXIST',
  'other link /d/o /d/new = EACCES',
  'owner link /d/e /d/new = EPERM',
  'owner link /d/none /d/new = ENOENT',
  'other unlink /d/f = EACCES',
  'owner unlink /d/e = EISDIR',
  'owner unlink /d/none = ENOENT',
  'other rmdir /d/e = EACCES',
  'owner rmdir /d/f = ENOTDIR',
  'owner rmdir /d = EACCES',
  'owner rmdir /d/e = ENOTEMPTY',
  'other rename /d/f /d/new = EACCES',
  'owner rename /d/f /d/e = EISDIR',
  'owner rename /d/e /d/f = ENOTDIR',
  'owner rename /d/e /d/e/in/x = EINVAL',
  'owner rename /d/f /d/o noreplace = EEXIST',
  'owner rename /d/f /d/none exchange = ENOENT',
  'owner rename /d/none /d/f = ENOENT',
  'owner readlink /d/f = EINVAL',
  'other readdir /d/shut = EACCES',
  'owner getxattr /d/f user.none = ENODATA',
  'other setxattr /d/f user.a v = EACCES',
  'owner setxattr /d/f user.none v replace = ENODATA',
  'owner setxattr /d/f none.a v = EOPNOTSUPP',
  'other removexattr /d/f user.a = EACCES',
  'owner removexattr /d/f user.none = ENODATA',
  'other setacl /d/f access u::7,g::7,o::7 = EPERM',
  'owner linkfd 0 /d/o = EEXIST',
  'owner access /d/f 1 = EACCES',
]

const PLACES = `
  root mkdir /d 755
  root chown /d 1001 1001
  owner mkdir /d/e 755
  owner mkdir /d/e/in 755
  owner mkdir /d/shut 700
  owner open 0 /d/f rw,creat 644
  owner write 0 content 0
  owner setxattr /d/f user.a v
  owner open 1 /d/f r 0
  owner open 2 /d/e r,directory 0
  owner symlink f /d/l
  root open 4 /d/o rw,creat 666
`
const SEEN = ['/', '/d', '/d/e', '/d/e/in', '/d/shut', '/d/f', '/d/l', '/d/o']

export const failingCases: PosixCase[] = [
  {
    name: 'a call that fails moves no time, of whatever it was about',
    steps: [
      PLACES,
      ...SEEN.map((path) => `root mark ${path} fresh`),
      ...FAILING.flatMap((line) => [line, 'root changed /d = -', 'root changed /d/f = -']),
      ...SEEN.map((path) => `root changed ${path} = -`),
    ].join('\n'),
  },
  {
    name: 'a call that fails leaves names, modes, owners, sizes and bytes as they were',
    steps: [
      PLACES,
      ...FAILING.flatMap((line) => [line, 'root readdir /d = e f l o shut']),
      'root stat /d mode,nlink,uid,gid = 40755 4 1001 1001',
      'root stat /d/e mode,nlink,uid,gid = 40755 3 1001 1001',
      'root stat /d/f mode,nlink,uid,gid,size = 100644 1 1001 1001 7',
      'root stat /d/o mode,nlink,uid,size = 100666 1 0 0',
      'root lstat /d/l mode,nlink,uid,size = 120777 1 1001 1',
      'root read 0 20 0 = content',
      'root listxattr /d/f = user.a',
      'root readdir /d/e = in',
    ].join('\n'),
  },
]
