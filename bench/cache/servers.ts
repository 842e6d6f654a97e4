/** The servers that the stores of `bench -- cache` need, each started for the run. */
import { existsSync } from 'node:fs'
import { peerPackage } from '../peer_packages.js'
import { Daemon as Program, freePort, installed } from '../rdma/process.js'
import type { Place } from '../rdma/content.js'
import { Daemon } from '../serve/served.js'
import type { CachePlace, StoreName } from './stores.js'

/** Room for the keys of both sizes, in sets that hardly overflow. */
export const CACHE_BYTES = 640 << 20
const MEMORY_MEBIBYTES = 1024

export interface CacheServer {
  readonly place: CachePlace
  pids(): number[]
  end(): Promise<void>
}

export function whyMissing(): string | null {
  const packages = ['ioredis', 'redis', 'memjs'].filter((name) => peerPackage(name) === null)
  if (packages.length > 0) return `${packages.join(', ')}: npm ci --prefix bench`
  const programs = ['redis-server', 'memcached'].filter((name) => !installed(name))
  return programs.length > 0 ? `apt install ${programs.join(' ')}` : null
}

async function holdfast(place: Place): Promise<CacheServer> {
  const daemon = await Daemon.start({ ...place, spare: 2 * CACHE_BYTES })
  const at = daemon.place.socket
  return {
    place: { at, bytes: CACHE_BYTES },
    pids: () => daemon.pids(),
    end: () => daemon.end(),
  }
}

async function redis({ directory }: Place): Promise<CacheServer> {
  const at = `${directory}/redis.socket`
  const args = ['--port', '0', '--unixsocket', at, '--save', '', '--appendonly', 'no']
  const program = new Program('redis-server', [...args, '--dir', directory], `${directory}/redis`)
  await program.until(() => Promise.resolve(existsSync(at) ? at : null))
  return { place: { at, bytes: 0 }, pids: () => program.pids(), end: () => program.end() }
}

async function memcached({ directory }: Place): Promise<CacheServer> {
  const port = await freePort()
  const user = process.getuid?.() === 0 ? ['-u', 'root'] : []
  const where = ['-l', '127.0.0.1', '-p', String(port), '-U', '0']
  const args = [...where, '-I', '2m', '-m', String(MEMORY_MEBIBYTES), '-t', '4', ...user]
  const program = new Program('memcached', args, `${directory}/memcached`)
  await program.listening(port)
  const place = { at: `127.0.0.1:${port}`, bytes: 0 }
  return { place, pids: () => program.pids(), end: () => program.end() }
}

/** Stores with the same server share it. */
export async function startServers(place: Place): Promise<ReadonlyMap<StoreName, CacheServer>> {
  const ours = await holdfast(place)
  const oneRedis = await redis(place)
  const one = await memcached(place)
  return new Map<StoreName, CacheServer>([
    ['holdfast', ours],
    ['Redis, ioredis', oneRedis],
    ['Redis, node-redis', oneRedis],
    ['memcached, memjs', one],
  ])
}
