/**
 * Objects of a kilobyte by their names, in Holdfast, LMDB and SQLite: each in its best public form.
 *
 * - Holdfast: a file an object in one directory; open, write and read on the handle, readdir.
 * - LMDB (`lmdb`): values as bytes; putSync, in transactionSync when puts are grouped;
 *   getBinaryFast, which gives the bytes in a buffer of its own; getKeys. noSync on tmpfs;
 *   overlappingSync off, so that a commit on disk is durable when it returns.
 * - SQLite (`better-sqlite3`): one table (name primary key, value); prepared statements, WAL,
 *   locking_mode exclusive, 64 MiB of cache, mmap; synchronous off on tmpfs, full on disk.
 *
 * All three are called synchronously.
 */
import { mkdirSync } from 'node:fs'
import { createRegion } from '../src/region/file_region.js'
import { openVolume, type EmbeddedVolume } from '../src/layout/embedded.js'
import { formatVolume } from '../src/volume/format.js'
import { peerPackage } from './peer_packages.js'

export const VALUE_BYTES = 1024
const GIB = 1024 * 1024 * 1024

export interface StoreSetting {
  readonly directory: string
  /** Objects there will be. */
  readonly count: number
  /** On an ordinary disk: what is committed is flushed to it. */
  readonly durable: boolean
}

export interface Store {
  readonly name: string
  put(name: string, value: Uint8Array): void
  remove(name: string): void
  /** `run` as one commit: all of it is durable when it returns. */
  together(run: () => void): void
  /** The first word of the value. */
  get(name: string): number
  /** How many names there are, each of them seen. */
  list(): number
  /** Closes it and opens it again. */
  reopen(): Promise<void>
  close(): Promise<void>
}

const word = (bytes: Uint8Array) => bytes[0]! | (bytes[1]! << 8) | (bytes[2]! << 16)

/** `grouped`: puts are made durable together. */
export function holdfastStore(setting: StoreSetting, grouped: boolean): Store {
  const path = `${setting.directory}/volume.hf`
  // A block and its metadata for each, and as much again for the log and what grows.
  const region = createRegion(path, Math.ceil(setting.count * 6144 + 0.1 * GIB))
  formatVolume(region)
  region.close()
  const sync = grouped ? 'group' : 'always'
  let volume: EmbeddedVolume = openVolume(path, { sync })
  volume.mkdir('/objects')
  const buffer = new Uint8Array(VALUE_BYTES)
  return {
    name: 'holdfast',
    put(name, value) {
      const file = volume.open(`/objects/${name}`, 'w')
      file.write(value, 0)
      file.close()
    },
    remove: (name) => volume.unlink(`/objects/${name}`),
    together(run) {
      run()
      volume.sync()
    },
    get(name) {
      const file = volume.open(`/objects/${name}`, 'r')
      file.read(buffer, 0)
      file.close()
      return word(buffer)
    },
    list: () => volume.readdir('/objects').length,
    async reopen() {
      volume.close()
      volume = openVolume(path, { sync })
    },
    async close() {
      volume.close()
    },
  }
}

interface LmdbDatabase {
  putSync(key: string, value: Uint8Array): boolean
  removeSync(key: string): boolean
  transactionSync(run: () => void): void
  getBinaryFast(key: string): Uint8Array | undefined
  getKeys(): Iterable<string>
  close(): Promise<void>
}

interface Lmdb {
  open(options: Record<string, unknown>): LmdbDatabase
}

interface SqliteStatement {
  run(...values: unknown[]): void
  get(...values: unknown[]): Uint8Array | undefined
  all(): unknown[]
  pluck(): SqliteStatement
}

interface SqliteDatabase {
  pragma(text: string): unknown
  exec(text: string): void
  prepare(text: string): SqliteStatement
  close(): void
}

type Sqlite = new (path: string) => SqliteDatabase

export interface Peers {
  readonly lmdb: Lmdb
  readonly Sqlite: Sqlite
}

/** The peers of bench/package.json, or null when they are not installed. */
export function loadPeers(): Peers | null {
  const lmdb = peerPackage<Lmdb>('lmdb')
  const Sqlite = peerPackage<Sqlite>('better-sqlite3')
  return lmdb === null || Sqlite === null ? null : { lmdb, Sqlite }
}

export function lmdbStore({ lmdb }: Peers, setting: StoreSetting): Store {
  const path = `${setting.directory}/lmdb`
  mkdirSync(path)
  const open = () =>
    lmdb.open({
      path,
      encoding: 'binary',
      mapSize: Math.ceil(setting.count * 4096 + GIB),
      noSync: !setting.durable,
      overlappingSync: false,
    })
  let database = open()
  return {
    name: 'LMDB',
    put: (name, value) => void database.putSync(name, value),
    remove: (name) => void database.removeSync(name),
    together: (run) => database.transactionSync(run),
    get: (name) => word(database.getBinaryFast(name)!),
    list() {
      let count = 0
      for (const name of database.getKeys()) count += name.length > 0 ? 1 : 0
      return count
    },
    async reopen() {
      await database.close()
      database = open()
    },
    close: () => database.close(),
  }
}

export function sqliteStore({ Sqlite }: Peers, setting: StoreSetting): Store {
  const path = `${setting.directory}/objects.sqlite`
  const open = () => {
    const database = new Sqlite(path)
    database.pragma('locking_mode = EXCLUSIVE')
    database.pragma('journal_mode = WAL')
    database.pragma(`synchronous = ${setting.durable ? 'FULL' : 'OFF'}`)
    database.pragma('cache_size = -65536')
    database.pragma(`mmap_size = ${8 * GIB}`)
    database.exec('CREATE TABLE IF NOT EXISTS objects (name TEXT PRIMARY KEY, value BLOB)')
    return {
      database,
      put: database.prepare('INSERT INTO objects VALUES (?, ?)'),
      get: database.prepare('SELECT value FROM objects WHERE name = ?').pluck(),
      remove: database.prepare('DELETE FROM objects WHERE name = ?'),
      list: database.prepare('SELECT name FROM objects').pluck(),
      begin: database.prepare('BEGIN'),
      commit: database.prepare('COMMIT'),
    }
  }
  let now = open()
  return {
    name: 'SQLite',
    put: (name, value) => now.put.run(name, value),
    remove: (name) => now.remove.run(name),
    together(run) {
      now.begin.run()
      run()
      now.commit.run()
    },
    get: (name) => word(now.get.get(name)!),
    list: () => now.list.all().length,
    async reopen() {
      now.database.close()
      now = open()
    },
    async close() {
      now.database.close()
    },
  }
}
