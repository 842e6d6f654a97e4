/** What `bench -- rdma-peers` compares with: what each needs, and its pair of processes. */
import { mkdirSync, readFileSync } from 'node:fs'
import { peerPackage } from '../peer_packages.js'
import { nginxServer } from './http.js'
import type { Place } from './content.js'
import { compileNfsClient, ganeshaServer, libnfsFound, nfsClient } from './nfs.js'
import { nodeServer, Pair, type Server } from './pair.js'
import { installed } from './process.js'
import { fillRedis, redisServer } from './redis.js'

export interface Peer {
  readonly name: string
  readonly packages: readonly string[]
  /** Programs and the packages of the system that have them. */
  readonly programs: Readonly<Record<string, string>>
  missing?(): string | null
  start(place: Place, setting: Setting): Promise<Pair>
}

export interface Setting {
  readonly sizes: readonly number[]
  /** Requests outstanding, at most. */
  readonly outstanding: number
}

/** A directory of the peer's own. */
function below({ directory }: Place, name: string): string {
  const path = `${directory}/${name}`
  mkdirSync(path)
  return path
}

function redisPeer(client: 'ioredis' | 'node-redis', npmPackage: string): Peer {
  return {
    name: `Redis, ${client}`,
    packages: ['ioredis', npmPackage],
    programs: { 'redis-server': 'redis-server' },
    async start(place, { sizes }) {
      const server = await redisServer(below(place, client))
      await fillRedis(Number(server.place), readFileSync(place.content), sizes)
      return nodePair(this.name, place, client, server)
    },
  }
}

function nodePair(
  name: string,
  { content }: Place,
  kind: string,
  server: Server,
  options?: unknown,
): Promise<Pair> {
  const job = { kind, content, options, place: server.place }
  return Pair.start(name, server, () => Pair.nodeClient(job))
}

const NFS_PROGRAMS = {
  'ganesha.nfsd': 'nfs-ganesha nfs-ganesha-vfs',
  rpcbind: 'rpcbind',
  cc: 'gcc',
  unshare: 'util-linux',
  ip: 'iproute2',
} as const

export const PEERS: readonly Peer[] = [
  redisPeer('ioredis', 'ioredis'),
  redisPeer('node-redis', 'redis'),
  {
    name: 'HTTP, nginx and undici',
    packages: ['undici'],
    programs: { nginx: 'nginx-light' },
    async start(place, { sizes, outstanding }) {
      const directory = below(place, 'nginx')
      const server = await nginxServer(directory, readFileSync(place.content), sizes)
      return nodePair(this.name, place, 'http', server, outstanding)
    },
  },
  {
    name: 'gRPC, @grpc/grpc-js',
    packages: ['@grpc/grpc-js'],
    programs: {},
    async start(place) {
      const server = await nodeServer({ kind: 'grpc', content: place.content })
      return nodePair(this.name, place, 'grpc', server)
    },
  },
  {
    name: 'NFS, Ganesha and libnfs',
    packages: [],
    programs: NFS_PROGRAMS,
    missing: () => {
      if (!libnfsFound()) return 'the headers of libnfs are not installed: apt install libnfs-dev'
      return process.getuid?.() === 0 ? null : 'Ganesha needs root'
    },
    async start(place) {
      const directory = below(place, 'nfs')
      const program = compileNfsClient(directory)
      const server = await ganeshaServer(directory, readFileSync(place.content))
      return Pair.start(this.name, server, () => nfsClient(program, server.place, place.content))
    },
  },
]

/** Why a peer cannot be asked, with the remedy; or null. */
export function whyMissing(peer: Peer): string | null {
  for (const name of peer.packages) {
    if (peerPackage(name) === null) return `${name} is not installed: npm ci --prefix bench`
  }
  for (const [program, packages] of Object.entries(peer.programs)) {
    if (!installed(program)) return `${program} is not installed: apt install ${packages}`
  }
  return peer.missing?.() ?? null
}
