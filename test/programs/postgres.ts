/**
 * A server of PostgreSQL, with the tables of pgbench: what both have to keep when the server, or
 * the mount that has its data, is killed.
 */
import assert from 'node:assert/strict'
import { readdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { stateOf, turn, until, type Program } from '../processes/program.js'
import type { Finished, Ground } from './ground.js'

export const CLIENTS = 4
/** A client's transactions before a kill. */
const ACKNOWLEDGED = 150
/** To start, and to recover. */
const START_SECONDS = 480

const SETTINGS = {
  fsync: 'on',
  synchronous_commit: 'on',
  full_page_writes: 'on',
  shared_buffers: '32MB',
  // Checkpoints come in the middle of the load.
  max_wal_size: '32MB',
  min_wal_size: '32MB',
  checkpoint_timeout: '30s',
  listen_addresses: '',
  max_connections: '20',
} as const

/** Where Debian has the programs of the newest version. */
export function binaries(): string {
  const top = '/usr/lib/postgresql'
  const newest = Math.max(...readdirSync(top).map(Number))
  return join(top, String(newest), 'bin')
}

/** Memory in /dev/shm that a process has mapped, which outlives it. */
function sharedBy(pid: number): string[] {
  const maps = readFileSync(`/proc/${pid}/maps`, 'utf8')
  return maps.match(/\/dev\/shm\/PostgreSQL\.\d+$/gm) ?? []
}

export class Server {
  readonly data: string
  /** A directory on tmpfs: its sockets, and what pgbench says. */
  readonly aside: string
  /** Of the tables of pgbench. */
  readonly scale: number
  readonly #ground: Ground
  #postmaster: Program | null = null

  private constructor(ground: Ground, scale: number) {
    this.scale = scale
    this.#ground = ground
    this.data = join(ground.directory, 'data')
    this.aside = join(ground.beside, 'postgres')
  }

  static async make(ground: Ground, scale: number): Promise<Server> {
    const server = new Server(ground, scale)
    const places = [server.data, server.aside]
    await ground.run(['install', '-d', '-o', 'postgres', '-g', 'postgres', '-m', '700', ...places])
    return server
  }

  /** Runs one of its programs as its user. */
  async run(program: string, ...words: string[]): Promise<Finished> {
    return await this.#ground.run(this.#command(program, words), this.#options)
  }

  /** Starts one that goes on. */
  begin(program: string, ...words: string[]): Program {
    return this.#ground.start(this.#command(program, words), this.#options)
  }

  /** A cluster, started, with the tables of pgbench. */
  async fill(): Promise<void> {
    const how = ['--data-checksums', '-U', 'postgres', '-A', 'trust', '-E', 'UTF8']
    await this.run('initdb', '-D', this.data, ...how)
    await this.start()
    await this.run('pgbench', '-i', '-q', '-s', String(this.scale), '--foreign-keys')
    assert.equal(await assertBalanced(this), 0)
  }

  async start(): Promise<void> {
    const settings = Object.entries(SETTINGS).flatMap(([name, value]) => ['-c', `${name}=${value}`])
    const words = ['-D', this.data, '-k', this.aside, ...settings]
    const postmaster = this.begin('postgres', ...words)
    this.#postmaster = postmaster
    const end = Date.now() + START_SECONDS * 1000
    while (!(await this.#isReady(postmaster.pid))) {
      assert.ok(postmaster.running && Date.now() < end, `it does not start:${postmaster.said()}`)
    }
  }

  async query(sql: string): Promise<readonly string[]> {
    return (await this.run('psql', '-XAtq', '-v', 'ON_ERROR_STOP=1', '-c', sql)).lines
  }

  async stop(): Promise<void> {
    const end = await this.#postmaster!.kill('SIGINT')
    assert.deepEqual(end, { status: 0, signal: null })
  }

  /** Its processes, which all stand still: none hears of another's end, or of that of the mount. */
  freeze(): readonly number[] {
    const postmaster = this.#postmaster!.pid
    process.kill(postmaster, 'SIGSTOP')
    const all = [postmaster, ...childrenOf(postmaster)]
    for (const pid of all) process.kill(pid, 'SIGSTOP')
    return all
  }

  async kill(all = this.freeze()): Promise<void> {
    const shared = all.flatMap(sharedBy)
    for (const pid of all) process.kill(pid, 'SIGKILL')
    await this.#postmaster!.ended()
    await until(() => all.every((pid) => ['', 'Z'].includes(stateOf(pid))), 'the end of all')
    // The next start takes away what the cluster tells of: one that crashed may have lost that.
    for (const path of shared) rmSync(path, { force: true })
  }

  async #isReady(postmaster: number): Promise<boolean> {
    await turn()
    try {
      const lines = readFileSync(join(this.data, 'postmaster.pid'), 'utf8').split('\n')
      return Number(lines[0]) === postmaster && lines[7]?.startsWith('ready') === true
    } catch {
      return false
    }
  }

  #command(program: string, words: readonly string[]): string[] {
    return [join(binaries(), program), ...words]
  }

  get #options() {
    const env = { PGHOST: this.aside, PGUSER: 'postgres', PGDATABASE: 'postgres' }
    return { in: this.aside, user: 'postgres', seconds: 1920, env }
  }
}

/** Processes whose parent is this one. */
function childrenOf(parent: number): number[] {
  const text = readFileSync(`/proc/${parent}/task/${parent}/children`, 'utf8')
  return text.split(' ').filter(Boolean).map(Number)
}

/** Transactions that a run of pgbench was told are done, by the logs of its threads. */
export function acknowledged(server: Server, name: string): number {
  const logs = readdirSync(server.aside).filter((file) => file.startsWith(`${name}.`))
  const texts = logs.map((file) => readFileSync(join(server.aside, file), 'utf8'))
  return texts.join('').split('\n').length - 1
}

/** The sums that each transaction of pgbench keeps equal, and the number of transactions. */
export async function assertBalanced(server: Server): Promise<number> {
  const [line] = await server.query(`SELECT (SELECT sum(abalance) FROM pgbench_accounts),
    (SELECT sum(bbalance) FROM pgbench_branches), (SELECT sum(tbalance) FROM pgbench_tellers),
    (SELECT coalesce(sum(delta), 0) FROM pgbench_history), (SELECT count(*) FROM pgbench_history),
    (SELECT count(*) FROM pgbench_accounts)`)
  const [accounts, branches, tellers, history, transactions, rows] = line!.split('|').map(Number)
  assert.deepEqual([branches, tellers, history], [accounts, accounts, accounts])
  assert.equal(rows, server.scale * 100_000)
  return transactions!
}

/** Every index has every row, in order. */
export async function checkIndexes(server: Server): Promise<void> {
  await server.run('pg_amcheck', '--install-missing', '--heapallindexed', 'postgres')
}

export const LOAD = [
  '-n',
  '-c',
  String(CLIENTS),
  '-j',
  '2',
  '-M',
  'prepared',
  '-l',
  '--random-seed=20',
]

/** A load, whose server is killed in its middle by `kill`; what was acknowledged is there then. */
export async function killUnderLoad(
  server: Server,
  name: string,
  kill: (all: readonly number[]) => Promise<void>,
) {
  const before = await assertBalanced(server)
  const load = server.begin('pgbench', ...LOAD, '-T', '120', `--log-prefix=${name}`)
  const count = 'SELECT count(*) FROM pgbench_history'
  while (Number((await server.query(count))[0]) < before + ACKNOWLEDGED) await turn()
  await kill(server.freeze())
  const { status } = await load.ended()
  assert.notEqual(status, 0, 'pgbench was to miss its server')
  await load.closed
  await server.start()
  const done = acknowledged(server, name)
  const there = (await assertBalanced(server)) - before
  assert.ok(done > CLIENTS, `only ${done} transactions were acknowledged`)
  assert.ok(there >= done, `${done} transactions were acknowledged, ${there} are there`)
  assert.ok(there <= done + CLIENTS, `${done} transactions were acknowledged, ${there} are there`)
  await checkIndexes(server)
}
