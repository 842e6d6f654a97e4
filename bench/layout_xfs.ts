/**
 * The peer of the layout bench: XFS, made with reflink on, in a file that is mounted.
 *
 * Form: a file on tmpfs, as the region is; a loop device; a mount namespace of its own, which goes
 * with its process. One process of Python does the calls (ioctl FICLONE, pwrite, fdatasync,
 * fallocate with a mode by ctypes) and times them itself by perf_counter_ns around all of a round:
 * of each, some 0.4 µs of a pwrite, 1.0 of a punch and 1.3 of an ioctl are Python's and the bare
 * call's. xfs_fsr is a process each time; what one takes that has nothing to do is timed, too.
 * `durable`: fdatasync, or fsync after FICLONE, after each call.
 */
import { spawn, spawnSync, type ChildProcess } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { createInterface } from 'node:readline'
import type { Runner } from './layout_rounds.js'

const TOOLS = ['mkfs.xfs', 'xfs_fsr', 'filefrag', 'unshare', 'mount', 'python3']

/** Why there is no XFS to compare with, or null. */
export function xfsMissing(): string | null {
  if (process.getuid?.() !== 0) return 'a loop mount needs root'
  for (const tool of TOOLS) {
    const { status } = spawnSync('sh', ['-c', `command -v ${tool}`], { stdio: 'ignore' })
    if (status !== 0) return `${tool} is not installed (xfsprogs, e2fsprogs, util-linux, python3)`
  }
  if (spawnSync('sh', ['-c', 'modprobe xfs 2>/dev/null; test -e /dev/loop-control']).status !== 0) {
    return 'there are no loop devices'
  }
  if (!/\bxfs$/m.test(readFileSync('/proc/filesystems', 'utf8'))) return 'this kernel has no XFS'
  return null
}

/** One call of the peer, many times: what it says is nanoseconds each. */
export type XfsWork = Readonly<Record<string, string | number | boolean | readonly number[]>>

export class Xfs {
  readonly #child: ChildProcess
  readonly #answers: AsyncIterator<string>

  private constructor(child: ChildProcess) {
    this.#child = child
    this.#answers = createInterface({ input: child.stdout! })[Symbol.asyncIterator]()
  }

  /** In `directory`, of at most `bytes`. */
  static async start(directory: string, bytes: number): Promise<Xfs> {
    const image = `${directory}/xfs.img`
    const root = `${directory}/xfs`
    const script = [
      'set -e; mount --make-rprivate /',
      `truncate -s ${bytes} ${image}; mkdir ${root}`,
      // Two allocation groups: an extent of a gibibyte fits into one.
      `mkfs.xfs -q -m reflink=1 -d agcount=2 ${image}`,
      `mount -o loop ${image} ${root}`,
      `exec python3 -u -c "$0" ${root}`,
    ]
    const child = spawn('unshare', ['--mount', 'sh', '-c', script.join('\n'), PEER], {
      stdio: ['pipe', 'pipe', 'inherit'],
    })
    const xfs = new Xfs(child)
    await xfs.do({ do: 'hello' })
    return xfs
  }

  async do(work: XfsWork): Promise<number> {
    this.#child.stdin!.write(`${JSON.stringify(work)}\n`)
    const { value, done } = await this.#answers.next()
    if (done === true) throw new Error(`the XFS peer ended at ${JSON.stringify(work)}`)
    return Number(value)
  }

  runner(name: string, work: XfsWork): Runner {
    return { name, round: () => this.do(work) }
  }

  async end(): Promise<void> {
    const ended = new Promise((resolve) => this.#child.once('close', resolve))
    this.#child.stdin!.end()
    await ended
  }
}

const PEER = `
import ctypes, fcntl, json, os, subprocess, sys
from time import perf_counter_ns as now
FICLONE = 0x40049409
PUNCH = 3 # FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE
BLOCK = 4096
libc = ctypes.CDLL(None, use_errno=True)
os.chdir(sys.argv[1])
data = b'\\x5a' * (1 << 20)

def fallocate(fd, mode, offset, length):
    n = ctypes.c_long
    if libc.fallocate(fd, mode, n(offset), n(length)):
        raise OSError(ctypes.get_errno(), 'fallocate')

def create(path):
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL)

def fill(fd, size):
    for at in range(0, size, len(data)):
        os.pwrite(fd, data[:min(len(data), size - at)], at)
    os.fsync(fd)
    os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)

def extents(path):
    return int(subprocess.check_output(['filefrag', path]).split(b':')[1].split()[0])

def make(w):
    fd = create(w['path'])
    fallocate(fd, 0, 0, w['size'])
    fill(fd, w['size'])
    os.close(fd)
    return extents(w['path'])

def reflink(w):
    source = os.open(w['path'], os.O_RDONLY)
    fds = [create('to%d' % i) for i in range(w['count'])]
    os.fsync(fds[0])
    start = now()
    for fd in fds:
        fcntl.ioctl(fd, FICLONE, source)
        if w['durable']: os.fsync(fd)
    took = now() - start
    for i, fd in enumerate(fds):
        os.close(fd)
        os.unlink('to%d' % i)
    os.close(source)
    return took / len(fds)

def write(w):
    fd = create('written')
    if w['shared']:
        source = os.open('source', os.O_RDONLY)
        fcntl.ioctl(fd, FICLONE, source)
        os.close(source)
    os.fsync(fd)
    block = data[:BLOCK]
    start = now()
    for at in w['blocks']:
        os.pwrite(fd, block, at * BLOCK)
        if w['durable']: os.fdatasync(fd)
    took = now() - start
    os.close(fd)
    os.unlink('written')
    return took / len(w['blocks'])

def punch(w):
    fd = create('punched')
    fallocate(fd, 0, 0, w['size'])
    fill(fd, w['size'])
    start = now()
    for at in w['blocks']:
        fallocate(fd, PUNCH, at * BLOCK, BLOCK)
        if w['durable']: os.fdatasync(fd)
    took = now() - start
    os.close(fd)
    os.unlink('punched')
    return took / len(w['blocks'])

def defragment(w):
    fds = [create('left'), create('right')]
    piece = w['piece']
    for i in w['pieces']:
        for fd in fds:
            fallocate(fd, 0, i * piece, piece)
    for fd in fds:
        fill(fd, w['size'])
        os.close(fd)
    before = extents('left')
    if before < w['size'] / piece / 4: raise Exception('only %d extents' % before)
    if w['again']: subprocess.check_call(['xfs_fsr', 'left'], stdout=2)
    start = now()
    subprocess.check_call(['xfs_fsr', 'left'], stdout=2)
    took = now() - start
    if extents('left') > 2: raise Exception('%d extents are left' % extents('left'))
    os.unlink('left')
    os.unlink('right')
    return took

calls = { 'hello': lambda w: 0, 'make': make, 'reflink': reflink, 'write': write,
          'punch': punch, 'defragment': defragment }
for line in sys.stdin:
    w = json.loads(line)
    print(calls[w['do']](w))
`
