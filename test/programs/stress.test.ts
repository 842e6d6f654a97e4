/**
 * stress-ng: what a filesystem can be asked in each way that its authors thought of, several at a
 * time, with the checks that it has of its own (`--verify`).
 */
import assert from 'node:assert/strict'
import { readdirSync } from 'node:fs'
import { groundTest, type Finished, type Ground } from './ground.js'

/** Stressors that run beside each other, each as its options. */
const GROUPS: readonly (readonly string[])[] = [
  ['access', 'chdir', 'chmod', 'chown', 'utime'],
  ['dentry --dentries 400', 'dir --dir-dirs 512', 'dirdeep --dirdeep-inodes 2000', 'dirmany'],
  ['filename --filename-opts posix', 'touch', 'mknod'],
  ['link', 'symlink', 'rename', 'open --open-max 2000', 'handle'],
  ['flock', 'lockf', 'locka', 'lockofd', 'lease'],
  ['fcntl', 'dnotify', 'inotify', 'xattr', 'chattr'],
  ['file-ioctl', 'fiemap', 'inode-flags', 'fsize', 'fpunch'],
  ['fallocate --fallocate-bytes 32m', 'copy-file --copy-file-bytes 128m', 'seek --seek-size 16m'],
  ['hdd --hdd-bytes 16m', 'io', 'iomix --iomix-bytes 16m', 'sync-file --sync-file-bytes 16m'],
  [
    'hdd --hdd-bytes 16m --hdd-opts direct,wr-rnd,rd-rnd',
    'revio --revio-bytes 16m',
    'readahead --readahead-bytes 4m',
  ],
  ['mmap --mmap-bytes 8m --mmap-file', 'msync --msync-bytes 8m', 'fault', 'madvise'],
  ['aio', 'aiol', 'sendfile --sendfile-size 2m', 'splice'],
]

/** Which may find that they cannot: FUSE has no call for it. */
const MAY_SKIP: readonly string[] = ['fiemap']
/** Which do not count what they do. */
const UNCOUNTED: readonly string[] = ['inode-flags']

const SECONDS = 1
/** Of one that is too slow for that. */
const ALONE_SECONDS = 120
/** Of a cleaning up that is slow. */
const PATIENCE_SECONDS = 720

const nameOf = (stressor: string): string => stressor.split(' ')[0]!

interface Outcome {
  /** By stressor, how often it did what it does. */
  readonly counts: ReadonlyMap<string, number>
  readonly skipped: readonly string[]
}

/** That of io syncs all that is mounted on the machine, what other tests kill too. */
const OTHERS = / io: syncfs failed, errno=103 /

/** What its last lines say; every line that tells of a failure is one. */
function outcomeOf(done: Finished): Outcome {
  const lines = [...done.lines, ...done.errors.split('\n')]
  const failures = lines.filter(
    (line) => /^stress-ng: (fail|error|warn):/.test(line) && !OTHERS.test(line),
  )
  assert.equal(done.status, 0, [`it ended with ${String(done.status)}`, ...lines].join('\n'))
  assert.deepEqual(failures, [])
  const counts = new Map<string, number>()
  const skipped: string[] = []
  for (const line of lines) {
    const metric = /^stress-ng: metrc: \[\d+\] (\S+) +(\d+) +\d+\.\d+ +\d+\.\d+ /.exec(line)
    if (metric !== null) counts.set(metric[1]!, Number(metric[2]))
    const skip = /^stress-ng: \w+: +\[\d+\] (\S+): .*\bskipp(ing|ed)\b/.exec(line)
    if (skip !== null) skipped.push(skip[1]!)
  }
  return { counts, skipped: [...new Set(skipped)] }
}

/** Runs stressors beside each other, each as its options, which end with the given ones. */
async function stress(
  ground: Ground,
  stressors: readonly string[],
  seconds: number,
  ...end: string[]
) {
  const options = stressors.flatMap((one) => {
    const [name, ...more] = one.split(' ')
    return [`--${name!}`, '1', ...more]
  })
  const general = ['--verify', '--metrics', '--timeout', String(seconds), '--seed', '20']
  const done = await ground.run(
    ['stress-ng', '--temp-path', ground.directory, ...general, ...options, ...end],
    { in: '/', seconds: seconds + PATIENCE_SECONDS, status: null },
  )
  return outcomeOf(done)
}

/** Those that have done nothing yet get the time that it takes, and nobody beside them. */
async function finish(ground: Ground, idle: readonly string[]): Promise<void> {
  for (const stressor of idle) {
    const name = nameOf(stressor)
    const { counts } = await stress(ground, [stressor], ALONE_SECONDS, `--${name}-ops`, '1')
    assert.ok((counts.get(name) ?? 0) > 0, `${name} has done nothing in ${ALONE_SECONDS} seconds`)
  }
}

groundTest(
  'stress-ng finds nothing wrong',
  { mebibytes: 512, needs: ['stress-ng'] },
  async (ground, t) => {
    for (const group of GROUPS) {
      const names = group.map(nameOf)
      await t.test(`${names.join(', ')}: at once`, async (t) => {
        const { counts, skipped } = await stress(ground, group, SECONDS)
        for (const name of skipped) t.diagnostic(`stress-ng: ${name} cannot be asked here`)
        const unasked = skipped.filter((name) => !MAY_SKIP.includes(name))
        assert.deepEqual(unasked, [], 'stressors that cannot be asked')
        const told = [...skipped, ...UNCOUNTED]
        const idle = group.filter(
          (one) => !told.includes(nameOf(one)) && (counts.get(nameOf(one)) ?? 0) === 0,
        )
        await finish(ground, idle)
        // Some of its files are marked immutable when its time is over.
        await ground.shell('chattr -R -f -ia . || true; rm -rf tmp-stress-ng-chattr-*')
        assert.deepEqual(readdirSync(ground.directory), [], 'files that it left')
      })
    }
  },
)
