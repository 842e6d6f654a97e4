/**
 * Cases of programs alone: paths as system calls take them, from a directory that is open, from
 * one that is none, and at addresses where nothing is.
 */
import type { PosixCase } from './posix.js'

/** D is where a path begins, P the path. What only looks a name up, by a path of its own. */
const LOOKING = [
  'fchmodat D P 0600',
  'fchownat D P -1 -1 0',
  'openat D P O_RDONLY 0',
  'openat D P O_RDWR|O_TRUNC 0',
  'unlinkat D P 0',
  'unlinkat D P AT_REMOVEDIR',
  'readlinkat D P &100 100',
  'utimensat D P null 0',
  'utimensat D P u64(1,2,3,4) 0',
  'faccessat2 D P 4 AT_EACCESS',
  'newfstatat D P &256 0',
  'statx D P 0 STATX_BASIC_STATS &256',
  'linkat D P cwd /new 0',
  'renameat2 D P cwd /new 0',
]
const MAKING = [
  'mkdirat D P 0755',
  'mknodat D P S_IFREG|0644 0',
  'mknodat D P S_IFIFO|0644 0',
  'openat D P O_WRONLY|O_CREAT 0644',
  "symlinkat 'target' D P",
  'linkat cwd /file D P 0',
  'renameat2 cwd /file D P 0',
]
/** Paths from the root, or from where the program is. */
const WHOLE = [
  'truncate P 0',
  'statfs P &256',
  'chdir P',
  "getxattr P 'user.a' &100 100",
  "lgetxattr P 'user.a' &100 100",
  "setxattr P 'user.a' 'v' 1 0",
  "lsetxattr P 'user.a' 'v' 1 0",
  'listxattr P &100 100',
  'llistxattr P &100 100',
  "removexattr P 'user.a'",
  "lremovexattr P 'user.a'",
]
const ALL = [...LOOKING, ...MAKING, ...WHOLE]

/** Those that stop at a symlink at the end: they look at it, or make a name. */
const NOT_FOLLOWING = /^(unlinkat|readlinkat|linkat D|renameat2|mkdirat|mknodat|symlinkat|linkat)/
const OF_LINKS = /^l(get|set|list|remove)xattr/

function each(calls: readonly string[], user: string, from: string, path: string, errno: string) {
  return calls
    .map((one) => one.replace(/\bD\b/, from).replace(/\bP\b/, () => path))
    .map((one) => `${user} sys ${one} = ${errno}`)
    .join('\n')
}

const PLACES = `
  root open 0 /file rw,creat 666
  root mkdir /dir 777
  root sys 1=openat cwd /dir O_RDONLY|O_DIRECTORY 0
`

export const pathCases: PosixCase[] = [
  {
    name: 'every system call walks a path: ENOENT, ENOTDIR, ENAMETOOLONG, ELOOP, EACCES',
    steps: `
      ${PLACES}
      ${each(ALL, 'root', 'cwd', '/none/x', 'ENOENT')}
      ${each(ALL, 'root', 'cwd', "''", 'ENOENT')}
      ${each([...LOOKING, ...WHOLE], 'root', 'cwd', '/dir/none', 'ENOENT')}
      ${each(ALL, 'root', 'cwd', '/file/x', 'ENOTDIR')}
      ${each(ALL, 'root', 'cwd', '/dir/{x*256}', 'ENAMETOOLONG')}
      ${each(ALL, 'root', 'cwd', '{/*4096}', 'ENAMETOOLONG')}
      root symlink /two /one
      root symlink /one /two
      ${each(ALL, 'root', 'cwd', '/one/x', 'ELOOP')}
      ${each(
        [...LOOKING, ...WHOLE].filter((one) => !NOT_FOLLOWING.test(one) && !OF_LINKS.test(one)),
        'root',
        'cwd',
        '/two',
        'ELOOP',
      )}
      root mkdir /closed 755
      root mkdir /closed/in 777
      root open 2 /closed/in/f rw,creat 666
      root chmod /closed 700
      ${each(ALL, 'owner', 'cwd', '/closed/in/f', 'EACCES')}
      ${each(ALL, 'owner', 'cwd', '/closed/none', 'EACCES')}
      root stat /closed/in/f size = 0
    `,
  },
  {
    name: 'a path at an address where nothing is is EFAULT for every system call',
    steps: `
      ${PLACES}
      ${each(ALL, 'root', 'cwd', 'bad', 'EFAULT')}
      ${each([...LOOKING, ...MAKING], 'other', '@1', 'bad', 'EFAULT')}
      root sys symlinkat bad cwd /new = EFAULT
      root sys linkat cwd /file cwd bad 0 = EFAULT
      root sys renameat2 cwd /file cwd bad 0 = EFAULT
    `,
  },
  {
    name: 'a path from no directory is EBADF, from a file ENOTDIR, from one that is gone ENOENT',
    steps: `
      ${PLACES}
      ${each([...LOOKING, ...MAKING], 'root', '@9', "'x'", 'EBADF')}
      ${each([...LOOKING, ...MAKING], 'root', '@0', "'x'", 'ENOTDIR')}
      root sys mkdirat @1 'sub' 0755
      root sys 2=openat @1 'sub' O_RDONLY|O_DIRECTORY 0
      root sys unlinkat @1 'sub' AT_REMOVEDIR
      ${each([...LOOKING, ...MAKING], 'root', '@2', "'x'", 'ENOENT')}
      ${each(LOOKING, 'root', '@1', "'none'", 'ENOENT')}
      root chmod /dir 700
      ${each([...LOOKING, ...MAKING], 'other', '@1', "'x'", 'EACCES')}
      root chmod /dir 755
      ${each(MAKING, 'other', '@1', "'x'", 'EACCES')}
      # A path from the root has no use for where it would begin.
      ${each(LOOKING, 'root', '@9', '/none', 'ENOENT')}
    `,
  },
  {
    name: 'a path begins where the program is, in a directory that is open, and goes with it',
    steps: `
      ${PLACES}
      root sys mkdirat @1 'sub' 0755
      root sys 2=openat @1 'sub/../f' O_RDWR|O_CREAT 0640
      root stat /dir/f mode = 100640
      root rename /dir /moved
      root sys renameat2 @1 'f' @1 'sub/g' 0
      root stat /moved/sub/g mode = 100640
      root sys linkat @1 'sub/g' @1 'h' 0
      root sys symlinkat 'h' @1 'l'
      root sys fchmodat @1 'l' 0604
      root stat /moved/h mode,nlink = 100604 2
      root sys unlinkat @1 'l' 0
      root sys chdir /moved
      root sys unlinkat cwd 'h' 0
      root sys unlinkat cwd 'sub/g' 0
      root sys fchdir @1
      root sys unlinkat cwd 'sub' AT_REMOVEDIR
      root readdir /moved = 
      root rmdir /moved
      root sys mkdirat cwd 'x' 0755 = ENOENT
      root sys openat cwd '.' O_RDONLY|O_DIRECTORY 0
      root sys openat cwd '..' O_RDONLY|O_DIRECTORY 0
    `,
  },
  {
    name: 'chdir wants a directory that who asks may walk; fchdir too',
    steps: `
      root mkdir /d 711
      root mkdir /shut 700
      root open 0 /f rw,creat 666
      root sys chdir /f = ENOTDIR
      root sys 1=openat cwd /shut O_RDONLY|O_DIRECTORY 0
      owner sys chdir /shut = EACCES
      owner sys fchdir @1 = EACCES
      owner sys chdir /d
      root sys fchdir @0 = ENOTDIR
      root sys fchdir @9 = EBADF
      root sys fchdir @1
      root sys chdir '..'
    `,
  },
  {
    name: 'a path through a symlink that leads to a name too long is ENAMETOOLONG',
    steps: `
      root symlink /{n*256} /long
      root stat /long = ENAMETOOLONG
      root lstat /long size = 257
      root sys openat cwd /long O_RDONLY 0 = ENAMETOOLONG
      root sys openat cwd /long O_RDWR|O_CREAT 0644 = ENAMETOOLONG
      root sys symlinkat '{t*4096}' cwd /x = ENAMETOOLONG
      root sys symlinkat '' cwd /x = ENOENT
      root unlink /long
    `,
  },
]
