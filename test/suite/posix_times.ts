/** Cases: which of atime, mtime and ctime a call moves, of the file and of its directory. */
import type { PosixCase } from './posix.js'

interface Timed {
  readonly name: string
  /** Made before the times are marked. */
  readonly before?: string
  readonly call: string
  /** Path and what is to have moved. */
  readonly moves: Readonly<Record<string, string>>
}

/** Everything is in /d: a file f with content, a directory e, a symlink l. Handle 0 is f. */
const PLACES = `
  root mkdir /d 777
  root mkdir /d/e 777
  root mkdir /d/o 777
  root symlink f /d/l
  root open 0 /d/f rw,creat 666
  root write 0 content 0
`

const TIMED: readonly Timed[] = [
  { name: 'stat', call: 'root stat /d/f', moves: { '/d': '-', '/d/f': '-' } },
  { name: 'access', call: 'root access /d/f 4', moves: { '/d/f': '-' } },
  { name: 'opening', call: 'root open 1 /d/f rw 0', moves: { '/d': '-', '/d/f': '-' } },
  { name: 'reading', call: 'root read 0 3 0', moves: { '/d': '-', '/d/f': 'a' } },
  { name: 'reading at the end', call: 'root read 0 3 100', moves: { '/d/f': 'a' } },
  { name: 'writing', call: 'root write 0 xx 0', moves: { '/d': '-', '/d/f': 'mc' } },
  { name: 'appending', call: 'root write 0 xx 7', moves: { '/d/f': 'mc' } },
  { name: 'writing nothing', call: "root write 0 '' 0", moves: { '/d/f': '-' } },
  { name: 'truncating', call: 'root truncate /d/f 3', moves: { '/d': '-', '/d/f': 'mc' } },
  { name: 'ftruncate', call: 'root ftruncate 0 3', moves: { '/d/f': 'mc' } },
  { name: 'ftruncate to the same size', call: 'root ftruncate 0 7', moves: { '/d/f': 'mc' } },
  { name: 'opening with O_TRUNC', call: 'root open 1 /d/f w,trunc 0', moves: { '/d/f': 'mc' } },
  { name: 'creating', call: 'root open 1 /d/n w,creat 644', moves: { '/d': 'mc', '/d/f': '-' } },
  { name: 'creating what is there', call: 'root open 1 /d/f w,creat 644', moves: { '/d': '-' } },
  { name: 'mkdir', call: 'root mkdir /d/n 755', moves: { '/d': 'mc', '/d/e': '-' } },
  { name: 'mkdir of what is there', call: 'root mkdir /d/e 755 = EEXIST', moves: { '/d': '-' } },
  { name: 'mknod', call: 'root mknod /d/n 10644 0', moves: { '/d': 'mc' } },
  { name: 'symlink', call: 'root symlink x /d/n', moves: { '/d': 'mc' } },
  { name: 'readlink', call: 'root readlink /d/l', moves: { '/d': '-', '/d/l': 'a', '/d/f': '-' } },
  { name: 'readdir', call: 'root readdir /d', moves: { '/d': 'a', '/d/f': '-' } },
  { name: 'link', call: 'root link /d/f /d/e/n', moves: { '/d': '-', '/d/e': 'mc', '/d/f': 'c' } },
  {
    name: 'unlink',
    before: 'root link /d/f /d/g',
    call: 'root unlink /d/g',
    moves: { '/d': 'mc', '/d/f': 'c' },
  },
  { name: 'rmdir', call: 'root rmdir /d/e', moves: { '/d': 'mc' } },
  { name: 'rmdir of a full one', call: 'root rmdir /d = ENOTEMPTY', moves: { '/d': '-' } },
  { name: 'rename in a directory', call: 'root rename /d/f /d/g', moves: { '/d': 'mc' } },
  {
    name: 'rename to another directory',
    call: 'root rename /d/f /d/e/f',
    moves: { '/d': 'mc', '/d/e': 'mc', '/d/o': '-' },
  },
  {
    name: 'rename of a directory to another',
    call: 'root rename /d/o /d/e/o',
    moves: { '/d': 'mc', '/d/e': 'mc' },
  },
  {
    name: 'rename onto another file',
    before: 'root open 1 /d/g w,creat 644\nroot link /d/g /d/h',
    call: 'root rename /d/f /d/g',
    moves: { '/d': 'mc', '/d/h': 'c' },
  },
  {
    name: 'rename onto a link of the same file',
    before: 'root link /d/f /d/g',
    call: 'root rename /d/f /d/g',
    moves: { '/d': '-', '/d/f': '-' },
  },
  {
    name: 'exchange',
    before: 'root open 1 /d/e/g w,creat 644',
    call: 'root rename /d/f /d/e/g exchange',
    moves: { '/d': 'mc', '/d/e': 'mc', '/d/f': 'c', '/d/e/g': 'c' },
  },
  { name: 'chmod', call: 'root chmod /d/f 600', moves: { '/d': '-', '/d/f': 'c' } },
  { name: 'chmod to the same', call: 'root chmod /d/f 666', moves: { '/d/f': 'c' } },
  { name: 'fchmod', call: 'root fchmod 0 600', moves: { '/d/f': 'c' } },
  { name: 'chown', call: 'root chown /d/f 5 5', moves: { '/d': '-', '/d/f': 'c' } },
  { name: 'chown to nobody else', call: 'root chown /d/f -1 -1', moves: { '/d/f': 'c' } },
  { name: 'lchown', call: 'root lchown /d/l 5 5', moves: { '/d/l': 'c', '/d/f': '-' } },
  { name: 'utimes of one', call: 'root utimes /d/f omit now', moves: { '/d/f': 'mc' } },
  { name: 'utimes of both', call: 'root utimes /d/f now now', moves: { '/d': '-', '/d/f': 'amc' } },
  { name: 'utimes of none', call: 'root utimes /d/f omit omit', moves: { '/d/f': '-' } },
  { name: 'setxattr', call: 'root setxattr /d/f user.a v', moves: { '/d': '-', '/d/f': 'c' } },
  {
    name: 'setxattr to the same',
    before: 'root setxattr /d/f user.a v',
    call: 'root setxattr /d/f user.a v',
    moves: { '/d/f': 'c' },
  },
  {
    name: 'getxattr and listxattr',
    before: 'root setxattr /d/f user.a v',
    call: 'root getxattr /d/f user.a\nroot listxattr /d/f',
    moves: { '/d/f': '-' },
  },
  {
    name: 'removexattr',
    before: 'root setxattr /d/f user.a v',
    call: 'root removexattr /d/f user.a',
    moves: { '/d/f': 'c' },
  },
  {
    name: 'an ACL',
    call: 'root setacl /d/f access u::6,u:5:4,g::4,m::4,o::4',
    moves: { '/d/f': 'c' },
  },
  {
    name: 'a default ACL',
    call: 'root setacl /d/e default u::6,g::4,o::4',
    moves: { '/d/e': 'c' },
  },
  { name: 'chattr', call: 'root chattr /d/f +i\nroot chattr /d/f -i', moves: { '/d/f': 'c' } },
  { name: 'allocate', call: 'root fallocate 0 grow 0 9000', moves: { '/d': '-', '/d/f': 'mc' } },
  {
    name: 'allocate with keep-size',
    call: 'root fallocate 0 keep 0 9000',
    moves: { '/d/f': 'mc' },
  },
  { name: 'punch', call: 'root fallocate 0 punch 0 4096', moves: { '/d/f': 'mc' } },
  {
    name: 'punch of a hole',
    before: 'root truncate /d/f 20000',
    call: 'root fallocate 0 punch 8192 4096',
    moves: { '/d/f': 'mc' },
  },
  { name: 'punch past the end', call: 'root fallocate 0 punch 8192 4096', moves: { '/d/f': 'mc' } },
  { name: 'allocate of what is there', call: 'root fallocate 0 grow 0 5', moves: { '/d/f': 'mc' } },
  { name: 'keep-size past the end', call: 'root fallocate 0 keep 9000 5', moves: { '/d/f': 'mc' } },
  { name: 'zero-range', call: 'root fallocate 0 zero 0 4096', moves: { '/d/f': 'mc' } },
  { name: 'insert-range', call: 'root fallocate 0 insert 0 4096', moves: { '/d/f': 'mc' } },
  {
    name: 'collapse-range',
    before: 'root truncate /d/f 10000',
    call: 'root fallocate 0 collapse 0 4096',
    moves: { '/d/f': 'mc' },
  },
  { name: 'seek', call: 'root seek 0 0 data', moves: { '/d/f': '-' } },
  {
    name: 'copy',
    before: 'root open 1 /d/g rw,creat 644',
    call: 'root copy 0 0 1 0 5',
    moves: { '/d/f': 'a', '/d/g': 'mc' },
  },
  {
    name: 'O_TMPFILE',
    call: 'root open 1 /d/e rw,tmpfile 600',
    moves: { '/d/e': '-' },
  },
  {
    name: 'link of an O_TMPFILE',
    before: 'root open 1 /d/e rw,tmpfile 600',
    call: 'root linkfd 1 /d/e/n',
    moves: { '/d/e': 'mc' },
  },
]

export const timeCases: PosixCase[] = [
  ...TIMED.map(({ name, before = '', call, moves }) => ({
    name: `times that ${name} moves`,
    steps: [
      PLACES,
      before,
      ...Object.keys(moves).map((path) => `root mark ${path}`),
      call,
      ...Object.entries(moves).map(([path, letters]) => `root changed ${path} = ${letters}`),
    ].join('\n'),
  })),
  {
    name: 'atime is relatime: a second read does not move it, one after a change does',
    steps: `
      ${PLACES}
      root mark /d/f fresh
      root read 0 3 0
      root changed /d/f = -
      root mark /d/f
      root read 0 3 0
      root changed /d/f = a
    `,
  },
]
