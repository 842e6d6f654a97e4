/** fio: each block that it writes has a checksum of its own, and is read again and compared. */
import assert from 'node:assert/strict'
import { mkdirSync, readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { flipBit } from './damage.js'
import { MODES, groundTest, type Finished, type Ground } from './ground.js'

interface Workload {
  readonly name: string
  /** A job each. */
  readonly jobs: readonly string[]
}

const MIX = '--rw=randrw --rwmixread=40'

const WORKLOADS: readonly Workload[] = [
  { name: 'in sequence', jobs: ['--rw=write --bs=64k --size=32m'] },
  { name: 'at random', jobs: ['--rw=randwrite --bs=4k --size=16m'] },
  {
    name: 'in pieces of any length',
    jobs: ['--rw=randwrite --bsrange=512-100k --bs_unaligned=1 --size=12m'],
  },
  { name: 'with O_DIRECT in sequence', jobs: ['--rw=write --bs=1m --size=64m --direct=1'] },
  {
    name: 'with O_DIRECT at random, eight at a time',
    jobs: ['--rw=randwrite --bs=4k --size=12m --direct=1 --ioengine=libaio --iodepth=8'],
  },
  {
    name: 'with O_DIRECT in sectors',
    jobs: ['--rw=randwrite --bsrange=512-16k --blockalign=512 --size=8m --direct=1'],
  },
  { name: 'by mmap in sequence', jobs: ['--rw=write --bs=64k --size=32m --ioengine=mmap'] },
  { name: 'by mmap at random', jobs: [`${MIX} --bs=4k --size=16m --ioengine=mmap`] },
  {
    name: 'by mmap, with msync',
    jobs: ['--rw=randwrite --bs=4k --size=8m --ioengine=mmap --fsync=64'],
  },
  { name: 'by vectors', jobs: [`${MIX} --bs=16k --size=16m --ioengine=pvsync --iodepth=4`] },
  { name: 'at random, with fsync', jobs: ['--rw=randwrite --bs=4k --size=4m --fsync=1'] },
  { name: 'with fdatasync', jobs: ['--rw=write --bs=16k --size=16m --fdatasync=4'] },
  { name: 'with O_SYNC', jobs: ['--rw=randwrite --bs=8k --size=8m --sync=1'] },
  {
    name: 'with sync_file_range',
    jobs: ['--rw=write --bs=64k --size=32m --sync_file_range=wait_before,write,wait_after:8'],
  },
  {
    name: 'where posix_fallocate was',
    jobs: ['--rw=randwrite --bs=8k --size=16m --fallocate=posix'],
  },
  {
    name: 'where FALLOC_FL_KEEP_SIZE was',
    jobs: ['--rw=write --bs=8k --size=16m --fallocate=keep'],
  },
  {
    name: 'where ftruncate was',
    jobs: ['--rw=randwrite --bs=8k --size=16m --fallocate=truncate'],
  },
  { name: 'at the end', jobs: ['--rw=write --bs=4k --size=8m --file_append=1 --fallocate=none'] },
  {
    name: 'in many files',
    jobs: ['--rw=randwrite --bs=4k --size=16m --nrfiles=512 --openfiles=64'],
  },
  {
    name: 'by four jobs with files of their own',
    jobs: [`${MIX} --bs=4k --size=8m --numjobs=4 --group_reporting=0`],
  },
  {
    name: 'by four jobs in parts of one file',
    jobs: ['--rw=randwrite --bs=4k --size=8m --filename=one --offset_increment=8m --numjobs=4'],
  },
  {
    name: 'by jobs of four kinds',
    jobs: [
      '--rw=randwrite --bs=4k --size=16m --direct=1',
      '--rw=write --bs=128k --size=32m',
      `${MIX} --bs=4k --size=16m --ioengine=mmap`,
      '--rw=randwrite --bs=2k --size=4m --fsync=32',
    ],
  },
]

const COMMON = [
  '--verify=crc32c',
  '--verify_fatal=1',
  '--verify_state_save=0',
  '--randseed=20',
  '--ioengine=psync',
]

interface Job {
  readonly error: number
  readonly read: { readonly io_bytes: number }
  readonly write: { readonly io_bytes: number }
}

async function fio(
  ground: Ground,
  directory: string,
  jobs: readonly string[],
  options: { readonly more?: readonly string[]; readonly status?: number | null } = {},
): Promise<Finished> {
  const { more = ['--do_verify=1'], status = 0 } = options
  const all = jobs.flatMap((job, i) => [
    `--name=job${i}`,
    `--directory=${directory}`,
    ...COMMON,
    ...more,
    ...job.split(' '),
  ])
  return await ground.run(['fio', '--output-format=json', ...all], { in: '/', status })
}

/** Bytes that its jobs have written, and those that they have read and compared. */
function moved(done: Finished): { readonly written: number; readonly read: number } {
  const text = done.lines.join('\n')
  const { jobs } = JSON.parse(text.slice(text.indexOf('{'))) as { jobs: Job[] }
  assert.ok(jobs.length > 0)
  for (const { error } of jobs) assert.equal(error, 0, text)
  return {
    written: jobs.reduce((sum, { write }) => sum + write.io_bytes, 0),
    read: jobs.reduce((sum, { read }) => sum + read.io_bytes, 0),
  }
}

for (const mode of MODES) {
  groundTest(
    `fio reads what it has written, ${mode}`,
    { mebibytes: 768, mode, needs: ['fio'] },
    async (ground, t) => {
      for (const { name, jobs } of WORKLOADS) {
        await t.test(`fio compares what it wrote ${name}`, async () => {
          const place = join(ground.directory, 'fio')
          mkdirSync(place)
          const { written, read } = moved(await fio(ground, place, jobs))
          assert.ok(written > 1 << 20, `${written} bytes were written`)
          assert.ok(read >= written, `${read} of ${written} bytes were compared`)
          rmSync(place, { recursive: true })
        })
      }

      const kept = [
        '--rw=randwrite --bs=4k --size=32m --end_fsync=0',
        '--rw=randwrite --bs=4k --size=16m --ioengine=mmap',
        '--rw=write --bs=1m --size=32m --direct=1',
      ]
      const kinds = ['buffered', 'mapped', 'direct']
      const place = join(ground.directory, 'kept')
      await t.test('fio compares after the next mount what it wrote before', async () => {
        mkdirSync(place)
        moved(await fio(ground, place, kept, { more: ['--do_verify=0'] }))
        await ground.remount()
        const { read } = moved(await fio(ground, place, kept, { more: ['--verify_only=1'] }))
        assert.equal(read, 80 << 20)
      })

      for (const [i, kind] of kinds.entries()) {
        await t.test(
          `fio tells of one bit that is another, in what was written ${kind}`,
          async () => {
            const file = join(
              place,
              readdirSync(place).find((one) => one.startsWith(`job${i}.`))!,
            )
            flipBit(file, 5_000_001)
            const done = await fio(ground, place, kept, { more: ['--verify_only=1'], status: null })
            assert.notEqual(done.status, 0)
            assert.match(done.errors + done.lines.join('\n'), /crc32c: verify failed at file/)
            flipBit(file, 5_000_001)
          },
        )
      }
    },
  )
}
