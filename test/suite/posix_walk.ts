/** Cases: paths, and who may walk them. */
import type { PosixCase } from './posix.js'

/** Calls that only look a path up, each with what follows the path. */
const LOOKING = [
  'stat',
  'lstat',
  'access P 0',
  'readlink',
  'open 1 P r 0',
  'truncate P 0',
  'chmod P 600',
  'chown P -1 -1',
  'lchown P -1 -1',
  'utimes P now now',
  'getxattr P user.a',
  'listxattr',
  'setxattr P user.a v',
  'removexattr P user.a',
  'unlink',
  'rmdir',
  'rename P /other',
  'link P /other',
  'readdir',
]
/** Calls that make a name. */
const MAKING = [
  'mkdir P 755',
  'symlink target P',
  'mknod P 100644 0',
  'open 1 P w,creat 644',
  'rename /file P',
  'link /file P',
  'open 1 P w,creat,excl 644',
]

/** One line a call: `call` with the path in its place, or at its end. */
function each(calls: readonly string[], user: string, path: string, outcome: string): string {
  return calls
    .map((one) => {
      const words = one.split(' ')
      const placed = words.includes('P') ? words.map((w) => (w === 'P' ? path : w)) : [one, path]
      return `${user} ${placed.join(' ')} = ${outcome}`
    })
    .join('\n')
}

const ALL = [...LOOKING, ...MAKING]
/** What has nothing to do with a path that ends in a slash, or in `.`. */
const PLACES = `
  root open 0 /file rw,creat 666
  root mkdir /dir 777
  root mkdir /dir/sub 777
`

export const walkCases: PosixCase[] = [
  {
    name: 'a directory on the way that is not there is ENOENT for every call',
    steps:
      PLACES +
      each(ALL, 'root', '/none/x', 'ENOENT') +
      '\n' +
      each(ALL, 'root', '/dir/none/x', 'ENOENT'),
  },
  {
    name: 'an empty path is ENOENT for every call',
    steps: PLACES + each(ALL, 'root', "''", 'ENOENT'),
  },
  {
    name: 'a file on the way is ENOTDIR for every call',
    steps:
      PLACES +
      each(ALL, 'root', '/file/x', 'ENOTDIR') +
      '\n' +
      each(ALL, 'root', '/file/../x', 'ENOTDIR') +
      '\n' +
      each(ALL, 'root', '/file/x/y', 'ENOTDIR'),
  },
  {
    name: 'a name of 255 bytes is good, one of 256 is ENAMETOOLONG for every call',
    steps: `
      ${PLACES}
      root mkdir /{x*255} 755
      root mkdir /{x*255}/{y*255} 755
      root symlink a /{s*255}
      root readlink /{s*255} = a
      ${each(ALL, 'root', '/{x*256}', 'ENAMETOOLONG')}
      ${each(ALL, 'root', '/dir/{x*256}', 'ENAMETOOLONG')}
      ${each(ALL, 'root', '/{x*256}/x', 'ENAMETOOLONG')}
      root stat /none/{x*256} = ENOENT
      root stat /file/{x*256} = ENOTDIR
    `,
  },
  {
    name: 'a path of 4095 bytes is good, one of 4096 is ENAMETOOLONG for every call',
    steps: `
      ${PLACES}
      root stat {/dir/..*585} mode = 40755
      root stat {/*4091}file mode = 100666
      ${each(ALL, 'root', '{/*4092}file', 'ENAMETOOLONG')}
      root symlink {t*4095} /long
      root symlink {t*4096} /longer = ENAMETOOLONG
      root symlink '' /empty = ENOENT
    `,
  },
  {
    name: 'forty symlinks are followed, one more is ELOOP, and so is a circle',
    steps: `
      ${PLACES}
      root symlink /dir /s1
      ${Array.from({ length: 40 }, (_, i) => `root symlink /s${i + 1} /s${i + 2}`).join('\n')}
      root stat /s40 mode = 40777
      root stat /s41 = ELOOP
      root stat /s40/sub mode = 40777
      root stat /s41/sub = ELOOP
      root lstat /s41 mode = 120777
      root symlink loop /loop
      root symlink /two /one
      root symlink /one /two
      ${each(
        ALL.filter((c) => !/^(lstat|readlink|lchown|unlink|rmdir|rename P|link P)/.test(c)).filter(
          (c) => !MAKING.includes(c),
        ),
        'root',
        '/loop',
        'ELOOP',
      )}
      ${each(ALL, 'root', '/one/x', 'ELOOP')}
      root open 1 /loop w,creat 644 = ELOOP
      root open 1 /loop w,creat,excl 644 = EEXIST
      root mkdir /loop 755 = EEXIST
      root rmdir /loop = ENOTDIR
      root lstat /loop nlink = 1
      root rename /loop /ring
      root link /ring /ring2
      root lstat /ring nlink = 2
      root link /ring /ring3 follow = ENOENT
      root link /one /three follow = ELOOP
      root unlink /ring
    `,
  },
  {
    name: 'a symlink is seen from where it stands, and one that leads out of the root leads to it',
    steps: `
      root mkdir /a 755
      root mkdir /a/b 755
      root open 0 /a/file rw,creat 640
      root open 1 /file rw,creat 600
      root symlink ../file /a/b/up
      root stat /a/b/up mode = 100640
      root symlink /file /a/b/abs
      root stat /a/b/abs mode = 100600
      root symlink ../../../../../file /a/b/out
      root stat /a/b/out mode = 100600
      root symlink . /a/b/here
      root stat /a/b/here/here/up mode = 100640
      root symlink none /a/b/dead
      root stat /a/b/dead = ENOENT
      root lstat /a/b/dead size = 4
      root open 2 /a/b/dead w,creat 604
      root stat /a/b/none mode = 100604
      root stat /a/b/dead mode = 100604
      root symlink up/ /a/b/slash
      root stat /a/b/slash = ENOTDIR
      root open 2 /a/b/slash rw,creat 644 = EISDIR
      root symlink nil/ /a/b/nothing
      root open 2 /a/b/nothing rw,creat 644 = EISDIR
      root open 2 /a/b/nothing rw 644 = ENOENT
      root symlink b /a/dir
      root lstat /a/dir/ mode = 40755
      root rmdir /a/dir/ = ENOTDIR
      root unlink /a/dir/ = ENOTDIR
      root mkdir /a/dir/ 755 = EEXIST
      root mkdir /a/dead/ 755
    `,
  },
  {
    name: 'a slash behind a name wants a directory',
    steps: `
      ${PLACES}
      root stat /dir/ mode = 40777
      root stat /dir// mode = 40777
      root stat /file/ = ENOTDIR
      root lstat /file/ = ENOTDIR
      root open 1 /file/ r 0 = ENOTDIR
      root open 1 /file/ w,creat 644 = EISDIR
      root open 1 /new/ w,creat 644 = EISDIR
      root open 1 /dir/ w,creat 644 = EISDIR
      root truncate /file/ 0 = ENOTDIR
      root unlink /file/ = ENOTDIR
      root unlink /none/ = ENOENT
      root rmdir /file/ = ENOTDIR
      root mknod /new/ 100644 0 = ENOENT
      root mknod /dir/ 100644 0 = EEXIST
      root symlink x /new/ = ENOENT
      root link /file /new/ = ENOENT
      root link /file/ /new = ENOTDIR
      root rename /file /new/ = ENOTDIR
      root rename /file/ /new = ENOTDIR
      root mkdir /new/ 755
      root rename /new/ /new2/
      root rmdir /new2/
    `,
  },
  {
    name: 'dot and dotdot are names like others to walk, and none to make or remove',
    steps: `
      ${PLACES}
      root stat /dir/. mode = 40777
      root stat /dir/.. mode = 40755
      root stat /dir/../file mode = 100666
      root stat /../../file mode = 100666
      root stat /.. mode = 40755
      root mkdir /dir/. 755 = EEXIST
      root mkdir /dir/.. 755 = EEXIST
      root mkdir / 755 = EEXIST
      root rmdir /dir/. = EINVAL
      root rmdir /dir/sub/.. = ENOTEMPTY
      root rmdir / = EBUSY
      root unlink /dir/. = EISDIR
      root unlink /dir/.. = EISDIR
      root unlink / = EISDIR
      root rename /dir/. /x = EBUSY
      root rename /dir/sub/.. /x = EBUSY
      root rename / /x = EBUSY
      root rename /dir /dir/sub/.. = EBUSY
      root rename /dir / = EBUSY
      root rename /dir / noreplace = EEXIST
      root link /file /dir/. = EEXIST
      root symlink a /dir/.. = EEXIST
      root mknod /. 100644 0 = EEXIST
      root open 1 /dir/. w,creat 644 = EISDIR
      root open 1 /dir/. r 0
    `,
  },
  {
    name: 'names are any bytes but a slash, and are told apart byte by byte',
    steps: `
      root mkdir /\\xff\\xfe 755
      root mkdir /\\xc3\\xa9 755
      root mkdir /e\\xcc\\x81 755
      root mkdir /A 755
      root mkdir /a 755
      root mkdir /\\s 755
      root mkdir /... 755
      root mkdir /\\x01\\x0a 755
      root mkdir /a 755 = EEXIST
      root stat /\\xff\\xfe mode = 40755
      root rmdir /\\xff = ENOENT
      root rmdir /\\x01\\x0a
    `,
  },
]

/** Every way to a directory that its mode closes to some. */
export const permissionCases: PosixCase[] = [
  {
    name: 'a directory without x on the way is EACCES for every call, and not for root',
    steps: `
      owner stat / mode = 40755
      root mkdir /closed 755
      root mkdir /closed/in 777
      root open 0 /file rw,creat 666
      root open 0 /closed/f rw,creat 666
      root chmod /closed 766
      ${each(ALL, 'other', '/closed/f', 'EACCES')}
      ${each(ALL, 'other', '/closed/none', 'EACCES')}
      ${each(ALL, 'other', '/closed/in/f', 'EACCES')}
      other stat /closed mode = 40766
      other readdir /closed = f in
      other stat /closed/. = EACCES
      other stat /closed/.. = EACCES
      root stat /closed/f size = 0
      root chmod /closed 000
      root stat /closed/f size = 0
      root readdir /closed = f in
      root open 1 /closed/g rw,creat 600
    `,
  },
  {
    name: 'a directory without w lets nobody but root make or remove names',
    steps: `
      root mkdir /d 555
      root chown /d 1001 1001
      root open 0 /d/f rw,creat 666
      root chown /d/f 1001 1001
      root mkdir /d/sub 777
      root chown /d/sub 1001 1001
      root mkdir /free 777
      owner mkdir /d/x 755 = EACCES
      owner symlink a /d/x = EACCES
      owner mknod /d/x 100644 0 = EACCES
      owner mknod /d/x 10644 0 = EACCES
      owner open 1 /d/x w,creat 644 = EACCES
      owner open 1 /d rw,tmpfile 644 = EACCES
      owner link /d/f /d/x = EACCES
      owner unlink /d/f = EACCES
      owner rmdir /d/sub = EACCES
      owner rename /d/f /d/x = EACCES
      owner rename /d/f /free/x = EACCES
      owner rename /d/f /d/sub exchange = EACCES
      owner mkdir /d/f 755 = EEXIST
      owner symlink a /d/f = EEXIST
      owner mknod /d/f 100644 0 = EEXIST
      owner link /d/f /d/sub = EEXIST
      owner unlink /d/none = ENOENT
      owner rmdir /d/none = ENOENT
      owner open 1 /d/f w,creat 644
      owner open 1 /d/f w,creat,excl 644 = EEXIST
      owner open 1 /free/f w,creat 644
      owner rename /free/f /d/x = EACCES
      root mkdir /d/x 755
      root rmdir /d/sub
      root unlink /d/f
    `,
  },
  {
    name: 'a directory without r is walked and not read, one without x is read and not walked',
    steps: `
      root mkdir /wx 733
      root open 0 /wx/f rw,creat 644
      other readdir /wx = EACCES
      other open 1 /wx r 0 = EACCES
      other stat /wx/f mode = 100644
      other mkdir /wx/mine 755
      other access /wx 4 = EACCES
      other access /wx 3
      root mkdir /r 744
      root mkdir /r/d 755
      other readdir /r = d
      other open 1 /r r 0
      other stat /r/d = EACCES
      other access /r 4
      other access /r 1 = EACCES
    `,
  },
  {
    name: 'the class of who asks decides alone: owner, then group, then others',
    steps: `
      root open 0 /f rw,creat 666
      root chown /f 1001 1001
      root chmod /f 077
      owner open 1 /f r 0 = EACCES
      owner access /f 4 = EACCES
      member open 1 /f rw 0
      other open 1 /f rw 0
      root chmod /f 707
      owner open 1 /f rw 0
      member open 1 /f r 0 = EACCES
      member access /f 1 = EACCES
      other open 1 /f rw 0
      root chmod /f 640
      owner open 1 /f rw 0
      member open 1 /f r 0
      member open 1 /f w 0 = EACCES
      member open 1 /f rw 0 = EACCES
      other open 1 /f r 0 = EACCES
      member truncate /f 0 = EACCES
      member access /f 2 = EACCES
      member access /f 6 = EACCES
      member access /f 4
      owner truncate /f 0
      root chmod /f 000
      root open 1 /f rw 0
      root access /f 6
      root access /f 1 = EACCES
      root chmod /f 010
      root access /f 7
      owner access /f 0
      owner access /none 0 = ENOENT
      root mkdir /shut 700
      owner link /shut/f '' = EACCES
      owner rename /shut/f '' = EACCES
      owner link /shut/f {x*4096} = EACCES
      owner rename '' /shut/f = ENOENT
      owner rename '' /shut/f both = EINVAL
    `,
  },
]
