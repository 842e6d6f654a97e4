/**
 * What a program would keep tensors in that four processes of a machine share, each in the form
 * that its documents recommend; nothing is durable in any of them. A get gives a buffer of its own.
 *
 * - holdfast: examples/kv_cache, a file that all processes map; its server is asked for nothing.
 * - Redis: redis-server on a Unix socket, nothing persisted, with ioredis (getBuffer) and with
 *   node-redis (BLOB_STRING mapped to Buffer).
 * - memcached: four threads, on loopback, with memjs: the binary protocol, values as they are. It
 *   has no Unix sockets.
 */
import { TensorCache } from '../../examples/kv_cache/tensor_cache.js'
import { neededPackage } from '../peer_packages.js'

export interface CacheStore {
  get(key: string): Uint8Array | null | Promise<Uint8Array | null>
  put(key: string, value: Uint8Array): unknown
  close(): unknown
}

export interface CachePlace {
  /** Of a socket; of memcached HOST:PORT. */
  readonly at: string
  /** Of the cache of ours. */
  readonly bytes: number
}

async function holdfast({ at, bytes }: CachePlace): Promise<CacheStore> {
  return TensorCache.open(at, '/tensors', bytes)
}

interface Ioredis {
  getBuffer(key: string): Promise<Buffer | null>
  set(key: string, value: Buffer): Promise<unknown>
  quit(): Promise<unknown>
}

function ioredis({ at }: CachePlace): Promise<CacheStore> {
  const Redis = neededPackage<new (options: object) => Ioredis>('ioredis')
  const redis = new Redis({ path: at })
  return Promise.resolve({
    get: (key) => redis.getBuffer(key),
    put: (key, value) => redis.set(key, value as Buffer),
    close: () => redis.quit(),
  })
}

interface NodeRedis {
  readonly RESP_TYPES: { readonly BLOB_STRING: number }
  createClient(options: object): {
    connect(): Promise<unknown>
    withTypeMapping(mapping: object): {
      get(key: string): Promise<Buffer | null>
      set(key: string, value: Buffer): Promise<unknown>
    }
    close(): Promise<unknown>
  }
}

async function nodeRedis({ at }: CachePlace): Promise<CacheStore> {
  const { createClient, RESP_TYPES } = neededPackage<NodeRedis>('redis')
  const redis = createClient({ socket: { path: at } })
  await redis.connect()
  const bytes = redis.withTypeMapping({ [RESP_TYPES.BLOB_STRING]: Buffer })
  return {
    get: (key) => bytes.get(key),
    put: (key, value) => bytes.set(key, value as Buffer),
    close: () => redis.close(),
  }
}

interface Memjs {
  readonly Client: {
    create(
      server: string,
      options: object,
    ): {
      get(key: string): Promise<{ value: Buffer | null }>
      set(key: string, value: Buffer, options: object): Promise<boolean>
      close(): void
    }
  }
}

const TIMEOUT_SECONDS = 30

function memjs({ at }: CachePlace): Promise<CacheStore> {
  const { Client } = neededPackage<Memjs>('memjs')
  const timeouts = { timeout: TIMEOUT_SECONDS, conntimeout: TIMEOUT_SECONDS }
  const client = Client.create(at, { ...timeouts, retries: 0 })
  return Promise.resolve({
    get: async (key) => (await client.get(key)).value,
    put: (key, value) => client.set(key, value as Buffer, { expires: 0 }),
    close: () => client.close(),
  })
}

export const STORES = {
  holdfast,
  'Redis, ioredis': ioredis,
  'Redis, node-redis': nodeRedis,
  'memcached, memjs': memjs,
} as const satisfies Record<string, (place: CachePlace) => Promise<CacheStore>>

export type StoreName = keyof typeof STORES
export const STORE_NAMES = Object.keys(STORES) as StoreName[]
