/**
 * SQLite, in each of its journal modes: several processes write at once, one is killed in the
 * middle, and what is in the database at the end is what the transactions that were said to be done
 * have put there.
 */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Program } from '../processes/program.js'
import { flipBit } from './damage.js'
import { MODES, finished, groundTest, type Ground } from './ground.js'

const JOURNALS = ['wal', 'delete', 'truncate', 'persist'] as const
const WRITERS = 4
const TRANSACTIONS = 40
const ROWS = 20
/** Transactions of a writer before it is killed. */
const BEGUN = 12

/** Of every process: nobody gives up, and everything is durable. */
const SETTINGS = ['.bail on', '.timeout 30000', 'PRAGMA synchronous = FULL;']

/** Lines for sqlite3 that make the tables. */
function making(journal: string): string {
  return [
    ...SETTINGS,
    `PRAGMA journal_mode = ${journal};`,
    'CREATE TABLE rows (writer, turn, n, content, PRIMARY KEY (writer, turn, n));',
    'CREATE INDEX by_content ON rows (content);',
    'CREATE TABLE sums (writer PRIMARY KEY, rows, bytes);',
    ...Array.from({ length: WRITERS + 1 }, (_, i) => `INSERT INTO sums VALUES (${i}, 0, 0);`),
  ].join('\n')
}

/** Of a writer: each transaction adds rows, takes some out, sums them up, and says its turn. */
function writing(writer: number, transactions: number): string {
  const lines = [...SETTINGS, 'PRAGMA mmap_size = 1048576;']
  for (let turn = 0; turn < transactions; turn++) {
    lines.push('BEGIN IMMEDIATE;')
    for (let n = 0; n < ROWS; n++) {
      const content = `'${writer}-${turn}-${n}-' || hex(zeroblob(${(turn * 37 + n * 53) % 900}))`
      lines.push(`INSERT INTO rows VALUES (${writer}, ${turn}, ${n}, ${content});`)
    }
    lines.push(
      `DELETE FROM rows WHERE writer = ${writer} AND turn = ${turn - 5} AND n % 3 = 0;`,
      `UPDATE sums SET (rows, bytes) = (SELECT count(*), sum(length(content)) FROM rows
        WHERE rows.writer = ${writer}) WHERE writer = ${writer};`,
      'COMMIT;',
      `.print done ${turn}`,
    )
  }
  return lines.join('\n')
}

async function sql(ground: Ground, file: string, script: string, place?: string) {
  const options = place === undefined ? {} : { in: place }
  const program = ground.start(['sqlite3', '-batch', file], options)
  program.write(script)
  void program.finish()
  return await finished(program, ['sqlite3', file])
}

/** Everything that is in a database, in an order of its own. */
const DUMP = `SELECT * FROM rows WHERE writer < ${WRITERS} ORDER BY writer, turn, n;
  SELECT * FROM sums WHERE writer < ${WRITERS} ORDER BY writer;`

/** Two ways to find each row, and the sums that each transaction has left. */
const CHECKS = `PRAGMA integrity_check; PRAGMA foreign_key_check;
  SELECT count(*) FROM rows r JOIN rows s INDEXED BY by_content ON r.content = s.content
    WHERE r.rowid <> s.rowid;
  SELECT writer FROM sums s WHERE (rows, coalesce(bytes, 0)) <>
    (SELECT count(*), coalesce(sum(length(content)), 0) FROM rows WHERE writer = s.writer);`

/** A writer, when it has said that some of its transactions are done. */
async function begunWriter(ground: Ground, file: string): Promise<Program> {
  const program = ground.start(['sqlite3', '-batch', file])
  program.write(writing(WRITERS, 2000))
  while ((await program.line()) !== `done ${BEGUN - 1}`);
  return program
}

/** It is killed by `kill`; the last transaction that it said was done. */
async function killedWriter(program: Program, kill: () => Promise<unknown>): Promise<number> {
  await kill()
  await program.closed
  const more = program.rest().map((line) => Number(/^done (\d+)$/.exec(line)![1]))
  return more.at(-1) ?? BEGUN - 1
}

/** A database is whole, and has what the killed writer has said is done, or one turn more. */
async function checkKilled(ground: Ground, file: string, last: number): Promise<void> {
  assert.deepEqual((await sql(ground, file, CHECKS)).lines, ['ok', '0'])
  const query = `SELECT max(turn) FROM rows WHERE writer = ${WRITERS};`
  const there = Number((await sql(ground, file, query)).lines[0])
  assert.ok(there === last || there === last + 1, `${there} is there, ${last} was done`)
}

async function make(ground: Ground, file: string, journal: string, place?: string): Promise<void> {
  const { lines } = await sql(ground, file, making(journal), place)
  assert.deepEqual(lines, [journal])
}

async function writeAtOnce(ground: Ground, journal: string): Promise<void> {
  const file = `${journal}.db`
  await make(ground, file, journal)
  const writers = Array.from({ length: WRITERS }, (_, i) => {
    return sql(ground, file, writing(i, TRANSACTIONS))
  })
  const program = await begunWriter(ground, file)
  const last = await killedWriter(program, () => program.kill())
  for (const { lines } of await Promise.all(writers)) {
    assert.equal(lines.filter((line) => line.startsWith('done ')).length, TRANSACTIONS)
  }
  await checkKilled(ground, file, last)
}

for (const mode of MODES) {
  groundTest(
    `databases of SQLite hold what was committed, ${mode}`,
    { mebibytes: 256, mode, needs: ['sqlite3'] },
    async (ground, t) => {
      const { beside, directory } = ground
      await make(ground, 'wanted.db', 'delete', beside)
      for (let i = 0; i < WRITERS; i++) {
        await sql(ground, 'wanted.db', writing(i, TRANSACTIONS), beside)
      }
      const wanted = (await sql(ground, 'wanted.db', DUMP, beside)).lines
      assert.ok(wanted.length > WRITERS * TRANSACTIONS * ROWS * 0.6)

      for (const journal of JOURNALS) {
        await t.test(
          `journal mode ${journal}: four that write at once, and one killed`,
          async () => {
            await writeAtOnce(ground, journal)
            assert.deepEqual((await sql(ground, `${journal}.db`, DUMP)).lines, wanted)
          },
        )
      }

      await t.test('a backup, a vacuum and a copy hold the same', async () => {
        await sql(ground, 'wal.db', `.backup backup.db\nVACUUM INTO 'vacuumed.db';\nVACUUM;`)
        await ground.run(['cp', 'backup.db', 'copied.db'])
        for (const name of ['backup', 'vacuumed', 'copied', 'wal']) {
          assert.deepEqual((await sql(ground, `${name}.db`, CHECKS)).lines, ['ok', '0'])
          assert.deepEqual((await sql(ground, `${name}.db`, DUMP)).lines, wanted, name)
        }
      })

      await t.test('after the next mount they hold the same', async () => {
        await ground.remount()
        for (const journal of JOURNALS) {
          assert.deepEqual((await sql(ground, `${journal}.db`, CHECKS)).lines, ['ok', '0'])
          assert.deepEqual((await sql(ground, `${journal}.db`, DUMP)).lines, wanted)
        }
      })

      for (const journal of JOURNALS) {
        await t.test(
          `journal mode ${journal}: a kill of the mount takes no transaction`,
          async () => {
            const file = `crash-${journal}.db`
            await make(ground, file, journal)
            const program = await begunWriter(ground, file)
            const kill = () => ground.crash(async () => void (await program.kill()))
            await checkKilled(ground, file, await killedWriter(program, kill))
          },
        )
      }

      await t.test('one bit that is another is told', async () => {
        // Vacuumed, there is nothing in it but what is in its tables and indexes.
        const file = join(directory, 'vacuumed.db')
        flipBit(file, readFileSync(file).indexOf(`1-${TRANSACTIONS - 1}-7-0000`) + 7)
        const program = ground.start(['sqlite3', '-batch', file, `${CHECKS} ${DUMP}`])
        await program.ended()
        await program.closed
        assert.notDeepEqual(program.rest(), ['ok', '0', ...wanted])
      })
    },
  )
}
