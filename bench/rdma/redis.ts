/**
 * Redis: redis-server on loopback TCP, nothing persisted (save "", appendonly no), one thread of
 * commands, as it comes. A get is GET, a put SET, each object a key; commands that are outstanding
 * are pipelined on one connection, which is how both clients do it by themselves.
 *
 * Clients: ioredis, getBuffer and set with a Buffer; node-redis (`redis`), BLOB_STRING mapped to
 * Buffer. Each gives a buffer of its own, which is copied to where the object belongs.
 */
import { neededPackage } from '../peer_packages.js'
import type { Server } from './pair.js'
import { Daemon, freePort } from './process.js'
import { promised, slotsOf, type Area, type Store } from './work.js'

export async function redisServer(directory: string): Promise<Server> {
  const port = await freePort()
  const args = ['--bind', '127.0.0.1', '--port', String(port), '--save', '', '--appendonly', 'no']
  const daemon = new Daemon('redis-server', [...args, '--dir', directory], `${directory}/redis.log`)
  await daemon.listening(port)
  return { place: port, pids: () => daemon.pids(), end: () => daemon.end() }
}

const key = (area: Area, bytes: number, offset: number): string => `${area}:${bytes}:${offset}`

interface Ioredis {
  getBuffer(key: string): Promise<Buffer | null>
  set(key: string, value: Buffer): Promise<unknown>
  quit(): Promise<unknown>
}

type IoredisPackage = new (options: Record<string, unknown>) => Ioredis

export async function connectIoredis(port: number): Promise<Store> {
  const Redis = neededPackage<IoredisPackage>('ioredis')
  const redis = new Redis({ host: '127.0.0.1', port, noDelay: true })
  return promised({
    async get(area, offset, into) {
      take(await redis.getBuffer(key(area, into.length, offset)), into)
    },
    async put(offset, from) {
      await redis.set(key('changing', from.length, offset), from)
    },
    async close() {
      await redis.quit()
    },
  })
}

interface NodeRedis {
  connect(): Promise<unknown>
  withTypeMapping(mapping: Record<number, unknown>): {
    get(key: string): Promise<Buffer | null>
    set(key: string, value: Buffer): Promise<unknown>
  }
  close(): Promise<unknown>
}

interface NodeRedisPackage {
  createClient(options: Record<string, unknown>): NodeRedis
  readonly RESP_TYPES: { readonly BLOB_STRING: number }
}

export async function connectNodeRedis(port: number): Promise<Store> {
  const { createClient, RESP_TYPES } = neededPackage<NodeRedisPackage>('redis')
  const redis = createClient({ socket: { host: '127.0.0.1', port, noDelay: true } })
  await redis.connect()
  const bytes = redis.withTypeMapping({ [RESP_TYPES.BLOB_STRING]: Buffer })
  return promised({
    async get(area, offset, into) {
      take(await bytes.get(key(area, into.length, offset)), into)
    },
    async put(offset, from) {
      await bytes.set(key('changing', from.length, offset), from)
    },
    async close() {
      await redis.close()
    },
  })
}

function take(found: Buffer | null, into: Buffer): void {
  if (found?.length !== into.length) throw new Error(`an object of ${found?.length} bytes`)
  found.copy(into)
}

/** Gives a server the objects that are got. */
export async function fillRedis(port: number, content: Buffer, sizes: readonly number[]) {
  const Redis = neededPackage<IoredisPackage>('ioredis')
  const redis = new Redis({ host: '127.0.0.1', port })
  for (const bytes of sizes) {
    for (let at = 0; at < bytes * slotsOf(bytes); at += bytes) {
      await redis.set(key('fixed', bytes, at), content.subarray(at, at + bytes))
    }
  }
  await redis.quit()
}
