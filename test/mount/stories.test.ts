/** What went wrong once, as it was done: stories of mounts, their programs and their neighbours. */
import assert from 'node:assert/strict'
import { execFile, spawnSync } from 'node:child_process'
import { chmodSync, readFileSync, statSync } from 'node:fs'
import { test } from 'node:test'
import { promisify } from 'node:util'
import { lacking } from '../../scripts/program_needs.js'
import type { LocalFile } from '../../src/client/index.js'
import { openVolume } from '../../src/layout/embedded.js'
import { noCompiler } from '../processes/compile.js'
import { comes } from './caller.js'
import { HolderScene } from './holder.js'
import { cannotMount, isMounted, MountScene } from './scene.js'

const skip = cannotMount() ?? noCompiler() ?? lacking(['python3'])
const exec = promisify(execFile)
const NOBODY = 65534

/** What a program in Python prints. */
async function python(lines: readonly string[], ...args: readonly string[]): Promise<string> {
  const script = ['import errno, os, sys, fcntl, struct', ...lines].join('\n')
  const { stdout } = await exec('/usr/bin/python3', ['-c', script, ...args])
  return stdout.trim()
}

const CHANGES = {
  write: 'os.pwrite(fd, b"x", 0)',
  fallocate: 'os.posix_fallocate(fd, 0, 8192)',
  ftruncate: 'os.ftruncate(fd, 1)',
  truncate: 'os.truncate(sys.argv[1], 1)',
  O_TRUNC: 'os.open(sys.argv[1], os.O_WRONLY | os.O_TRUNC)',
}

for (const mode of ['direct', 'cache'] as const) {
  test(`whoever changes a program takes its capabilities away, ${mode}`, { skip }, async () => {
    const scene = await MountScene.start('embedded', mode)
    try {
      chmodSync(scene.folder, 0o755)
      for (const [name, change] of Object.entries(CHANGES)) {
        const said = await python(
          [
            'p = sys.argv[1]',
            'open(p, "w").write("program"); os.chmod(p, 0o666)',
            'cap = struct.pack("<5I", 0x02000001, 0x2000, 0, 0, 0)',
            'os.setxattr(p, "security.capability", cap)',
            `pid = os.fork()`,
            'if pid == 0:',
            `  os.setgid(${NOBODY}); os.setuid(${NOBODY})`,
            '  fd = os.open(p, os.O_RDWR)',
            `  ${change}`,
            '  os._exit(0)',
            'print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), os.listxattr(p))',
          ],
          scene.path(name),
        )
        assert.equal(said, '0 []', name)
      }
    } finally {
      await scene.end()
    }
  })
}

test('who writes by a descriptor of root takes set-id bits away', { skip }, async () => {
  const scene = await MountScene.start('embedded')
  try {
    const said = await python(
      [
        'p = sys.argv[1]',
        'fd = os.open(p, os.O_RDWR | os.O_CREAT); os.fchmod(fd, 0o6777)',
        'os.pwrite(fd, b"root", 0); print(oct(os.stat(p).st_mode))',
        'pid = os.fork()',
        'if pid == 0:',
        `  os.setgid(${NOBODY}); os.setuid(${NOBODY})`,
        '  os.pwrite(fd, b"nobody", 0)',
        '  os._exit(0)',
        'os.waitpid(pid, 0); print(oct(os.stat(p).st_mode))',
      ],
      scene.path('f'),
    )
    assert.equal(said, '0o106777\n0o100777')
  } finally {
    await scene.end()
  }
})

test('a signal ends no lseek that has pages written back first', { skip }, async () => {
  const scene = await MountScene.start('embedded', 'cache')
  try {
    const said = await python(
      [
        'import mmap, signal, time',
        'fd = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT); os.ftruncate(fd, 8 << 20)',
        'm = mmap.mmap(fd, 8 << 20)',
        'signal.signal(signal.SIGALRM, lambda *_: None)',
        'signal.siginterrupt(signal.SIGALRM, True)',
        'signal.setitimer(signal.ITIMER_REAL, 0.0005, 0.0005)',
        'end = time.monotonic() + 2; n = 0',
        'while time.monotonic() < end:',
        '  for at in range(0, 8 << 20, 4096): m[at] = n & 255',
        '  assert os.lseek(fd, 0, os.SEEK_HOLE) == 8 << 20; n += 1',
        'signal.setitimer(signal.ITIMER_REAL, 0)',
        'print(n > 0)',
      ],
      scene.path('f'),
    )
    assert.equal(said, 'True')
  } finally {
    await scene.end()
  }
})

/** Between two names: who looks finds none there. */
const PAUSE_MS = 4

test('a name that others make first is opened as theirs, or not at all', { skip }, async () => {
  const scene = await HolderScene.start({})
  try {
    chmodSync(scene.scene.folder, 0o755)
    await scene.client.mkdir('/open', 0o777)
    await scene.client.chmod('/open', 0o1777)
    const racing = python(
      [
        `os.setgid(${NOBODY}); os.setuid(${NOBODY})`,
        'import time; end = time.monotonic() + 3; n = 0; theirs = 0',
        'while time.monotonic() < end:',
        '  try:',
        '    fd = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT, 0o600)',
        '  except OSError as e:',
        '    if e.errno not in (errno.EACCES, errno.ESTALE): raise',
        '    continue',
        `  theirs += os.fstat(fd).st_uid != ${NOBODY}; n += 1`,
        '  os.close(fd)',
        '  try: os.unlink(sys.argv[1])',
        '  except OSError: pass',
        'print(n > 0, theirs)',
      ],
      scene.at('open/name'),
    )
    let made = 0
    let over = false
    void racing.finally(() => (over = true)).catch(() => {})
    while (!over) {
      const file = await scene.client.open('/open/name', 'wx+', 0o600).catch(() => null)
      if (file === null) continue
      made++
      await file.close()
      await scene.client.unlink('/open/name')
      await new Promise((resolve) => setTimeout(resolve, PAUSE_MS))
    }
    assert.equal(await racing, 'True 0')
    assert.ok(made > 0)
  } finally {
    await scene.end()
  }
})

test('a file that nobody had looked up when it was held is read as it is', { skip }, async () => {
  const scene = await HolderScene.start({}, { words: 'cache' })
  try {
    const name = await scene.make(1)
    const file = (await scene.client.open(`/${name}`, 'r+')) as LocalFile
    const mapping = await file.map({ direct: true, write: true })
    const memory = Buffer.from(mapping.buffer)
    for (const value of ['1111', '2222', '3333']) {
      memory.write(value)
      await scene.caller.open(1, scene.at(name))
      const read = await scene.caller.done('read', 1, 0, 4)
      assert.equal(Buffer.from(read, 'hex').toString(), value)
      await scene.caller.done('close', 1)
      // The kernel forgets what it knew of it.
      spawnSync('sh', ['-c', 'echo 2 > /proc/sys/vm/drop_caches'])
    }
    mapping.unmap()
    await mapping.hold.over
    await file.close()
  } finally {
    await scene.end()
  }
})

const CLONE = [
  'def clone(a, b, n, at=0):',
  '  try: fcntl.ioctl(b, 0x40204801, struct.pack("<qQQQ", a, 0, n, at)); return "cloned"',
  '  except OSError as e: return e.strerror',
  'a = os.open(sys.argv[1] + "/a", os.O_RDWR | os.O_CREAT)',
  'b = os.open(sys.argv[1] + "/b", os.O_RDWR | os.O_CREAT)',
]

test('a clone is of what was written, and stays, though pages are dirty', { skip }, async () => {
  const scene = await MountScene.start('embedded', 'exclusive')
  try {
    const said = await python(
      [
        ...CLONE,
        'os.write(a, b"O" * 8192); os.fsync(a); os.pwrite(a, b"N" * 8192, 0)',
        'print(clone(a, b, 8192))',
        'os.write(b, b"d" * 8192)',
        'print(clone(a, b, 8192), os.pread(b, 8192, 0) == b"N" * 8192, os.fstat(b).st_size)',
      ],
      scene.directory,
    )
    assert.equal(said, 'Operation not supported\ncloned True 8192')
    await scene.unmount()
    using volume = openVolume(scene.region)
    const bytes = Buffer.alloc(8192)
    using file = volume.open('/b', 'r')
    assert.equal(file.read(bytes, 0), 8192)
    assert.deepEqual(bytes, Buffer.alloc(8192, 'N'))
  } finally {
    await scene.remove()
  }
})

test('what a program has written is in the volume when it is thrown out', { skip }, async () => {
  const scene = await MountScene.start('embedded', 'exclusive')
  try {
    const script = 'import os,sys,time; f=os.open(sys.argv[1],66); os.write(f,b"w"*100000)'
    const words = ['/usr/bin/python3', '-uc', `${script}; print("written"); time.sleep(60)`]
    const writer = scene.programs.start('writer', [...words, scene.path('f')])
    assert.equal(await writer.line(), 'written')
    assert.deepEqual(await scene.program.kill('SIGTERM'), { status: 0, signal: null })
    await writer.kill('SIGKILL')
    using volume = openVolume(scene.region)
    using file = volume.open('/f', 'r')
    const bytes = Buffer.alloc(100_001)
    assert.equal(file.read(bytes, 0), 100_000)
    assert.deepEqual(bytes.subarray(0, 100_000), Buffer.alloc(100_000, 'w'))
  } finally {
    await scene.remove()
  }
})

test('a mount that is bound elsewhere, too, ends all the same', { skip }, async () => {
  const scene = await MountScene.start('embedded')
  const other = `${scene.folder}/other`
  try {
    spawnSync('mkdir', [other])
    assert.equal(spawnSync('mount', ['--bind', scene.directory, other]).status, 0)
    assert.deepEqual(await scene.program.kill('SIGTERM'), { status: 0, signal: null })
    assert.equal(isMounted(scene.directory), false)
    await assert.rejects(exec('ls', [other]), /not connected/)
  } finally {
    spawnSync('umount', ['-l', other])
    await scene.remove()
  }
})

test('pins by a mount that the kernel was told to abort end with it', { skip }, async () => {
  const scene = await HolderScene.start({})
  try {
    const name = await scene.make(1)
    const dev = statSync(scene.scene.directory).dev
    const script =
      'import os,sys,fcntl,struct,time; f=os.open(sys.argv[1],os.O_RDWR);' +
      'fcntl.ioctl(f,0xC0184802,struct.pack("<QQQ",0,4096,0)); print("pinned"); time.sleep(60)'
    const pinner = scene.scene.programs.start('pinner', [
      ...['/usr/bin/python3', '-uc', script, scene.at(name)],
    ])
    assert.equal(await pinner.line(), 'pinned')
    assert.equal((await scene.client.holds()).length, 1)
    const connections = '/sys/fs/fuse/connections'
    if (readFileSync('/proc/mounts', 'latin1').includes(` ${connections} `) === false) {
      spawnSync('mount', ['-t', 'fusectl', 'fusectl', connections])
    }
    await exec('sh', ['-c', `echo 1 > ${connections}/${dev}/abort`])
    await comes(async () => String((await scene.client.holds()).length), '0')
    await pinner.kill('SIGKILL')
  } finally {
    await scene.caller.end()
    await scene.client.close()
    await scene.scene.remove()
  }
})
