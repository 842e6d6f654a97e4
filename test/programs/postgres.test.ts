/**
 * PostgreSQL with its data on the mount, and pgbench: the sums of its four tables are equal, and no
 * transaction that was acknowledged is missing, also after all of its processes were killed.
 */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { flipBit } from './damage.js'
import { MODES, groundTest } from './ground.js'
import {
  acknowledged,
  assertBalanced,
  binaries,
  checkIndexes,
  CLIENTS,
  killUnderLoad,
  LOAD,
  Server,
} from './postgres.js'

const SCALE = 3
const TRANSACTIONS = 250

for (const mode of MODES) {
  groundTest(
    `PostgreSQL keeps what it has acknowledged, ${mode}`,
    { mebibytes: 768, mode, needs: ['initdb'] },
    async (ground, t) => {
      const server = await Server.make(ground, SCALE)
      await t.test('initdb and pgbench make a cluster', async () => {
        await server.fill()
      })

      await t.test(
        'pgbench does its transactions, and the sums of its tables are equal',
        async () => {
          await server.run('pgbench', ...LOAD, '-t', String(TRANSACTIONS), '--log-prefix=first')
          assert.equal(await assertBalanced(server), CLIENTS * TRANSACTIONS)
          assert.equal(acknowledged(server, 'first'), CLIENTS * TRANSACTIONS)
          await checkIndexes(server)
        },
      )

      await t.test(
        'after a kill of all of its processes nothing acknowledged is gone',
        async () => {
          await killUnderLoad(server, 'killed', (all) => server.kill(all))
        },
      )

      await t.test(
        'after a kill of the mount, with its cache, nothing acknowledged is gone',
        async () => {
          await killUnderLoad(server, 'crashed', (all) => ground.crash(() => server.kill(all)))
        },
      )

      await t.test('a backup of the running server is what its manifest says', async () => {
        const backup = join(server.aside, 'backup')
        await server.run('pg_basebackup', '-D', backup, '-c', 'fast')
        await ground.run(['cp', '-a', backup, ground.directory])
        await server.run('pg_verifybackup', join(ground.directory, 'backup'))
      })

      await t.test(
        'stopped and mounted anew it has the same rows, with good checksums',
        async () => {
          const before = await assertBalanced(server)
          const [table] = await server.query("SELECT pg_relation_filepath('pgbench_accounts')")
          await server.stop()
          await ground.remount()
          await server.run('pg_checksums', '--check', '-D', server.data)
          await server.start()
          assert.equal(await assertBalanced(server), before)
          await server.stop()

          flipBit(join(server.data, table!), 1_000_000)
          const words = [join(binaries(), 'pg_checksums'), '--check', '-D', server.data]
          const done = await ground.run(words, { user: 'postgres', status: null })
          assert.equal(done.status, 1, 'one bit is another, and nobody tells')
        },
      )
    },
  )
}
