/** bonnie++ and dbench: old loads, which end when an answer is not the one that they expect. */
import assert from 'node:assert/strict'
import { readdirSync } from 'node:fs'
import { groundTest, type Ground, type RunOptions } from './ground.js'

const MEBIBYTES = 512

/**
 * The numbers of its last line, as text: '+++++' is one too good to be told. Without bytes one at a
 * time (`-f`), each of which is a call.
 */
async function bonnie(ground: Ground, ...options: string[]): Promise<readonly string[]> {
  const general = ['-q', '-d', ground.directory, '-u', 'root:root', '-f', '-s', '32', '-r', '16']
  const { lines } = await ground.run(['bonnie++', ...general, ...options])
  return lines.at(-1)!.split(',')
}

/** What a run of dbench did, by operation. */
async function dbench(ground: Ground, words: readonly string[], options: RunOptions = {}) {
  const done = await ground.run(['dbench', '-D', ground.directory, ...words], options)
  const text = done.lines.join('\n')
  assert.doesNotMatch(text + done.errors, /\bERROR\b|failed for/)
  assert.ok(Number(/^Throughput ([\d.]+) MB\/sec/m.exec(text)?.[1]) > 0, text)
  const rows = text.matchAll(/^ (\w+) +(\d+) +[\d.]+ +[\d.]+$/gm)
  return new Map([...rows].map((row) => [row[1]!, Number(row[2])]))
}

/** Operations of its load; renames, locks and flushes are rare there. */
const OPERATIONS = ['NTCreateX', 'Close', 'Unlink', 'Find', 'WriteX', 'ReadX', 'Qfsinfo']

groundTest(
  'bonnie++ comes to its end',
  { mebibytes: MEBIBYTES, needs: ['bonnie++'] },
  async (ground, t) => {
    for (const [name, ...options] of [
      ['with the page cache'],
      ['with O_DIRECT, and fsync after each change', '-D', '-b'],
    ] as const) {
      await t.test(`bonnie++ ${name} has a number for each of its tests`, async () => {
        const fields = await bonnie(ground, '-n', '2:20000:16:8', ...options)
        // Sizes and names apart, each is a rate, a share of the CPU, or a latency.
        const rates = [...fields.slice(9, 21), ...fields.slice(26)].filter((field) => field !== '')
        assert.equal(rates.length, 30, fields.join(','))
        for (const field of rates) assert.match(field, /^(\d+|\++|\d+[um]?s)$/, fields.join(','))
        assert.deepEqual(readdirSync(ground.directory), [], 'files that it left')
      })
    }
  },
)

groundTest(
  'dbench gets the answers that it expects',
  { mebibytes: MEBIBYTES, needs: ['dbench'] },
  async (ground, t) => {
    for (const [name, ...words] of [
      ['four clients', '-t', '5', '4'],
      ['clients with xattrs, and directories that are synced', '-t', '3', '-x', '-S', '2'],
      ['clients with O_SYNC', '-t', '3', '-s', '2'],
    ] as const) {
      await t.test(`dbench goes on with ${name}`, async () => {
        const did = await dbench(ground, words)
        assert.deepEqual(
          OPERATIONS.filter((one) => (did.get(one) ?? 0) === 0),
          [],
          'operations that never came',
        )
      })
    }
    // Its files stay, for the library to compare.
    await t.test('dbench leaves its files when it is asked to', async () => {
      await dbench(ground, ['-t', '2', '--skip-cleanup', '2'])
      const left = await ground.shell('find clients -type f | wc -l')
      assert.ok(Number(left.lines[0]) > 10, `${left.lines[0]} files`)
    })

    await t.test('dbench tells of a file that it does not find', async () => {
      const words = ['-D', '/proc', '-t', '1', '1']
      const done = await ground.run(['dbench', ...words], { status: null })
      assert.notEqual(done.status, 0)
    })
  },
)
