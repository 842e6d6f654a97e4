/**
 * A server's process, where the server is one of node's. Its first line is its place; the end of
 * its input is its end.
 */
import { readFileSync } from 'node:fs'
import { once } from 'node:events'
import { answer, job } from '../child.js'
import type { ServerJob } from './pair.js'
import { serveRaw } from './raw.js'
import type { RawForm } from './raw_stream.js'

type Serve = (job: ServerJob, content: Buffer) => Promise<unknown>

const SERVERS: Readonly<Record<string, Serve>> = {
  raw: ({ options }, content) => serveRaw(options as RawForm[], content),
  rnic: async ({ options }, content) =>
    (await import('./rnic.js')).serveRnic(content, options as never),
  grpc: async (_, content) => (await import('./grpc.js')).serveGrpc(content),
  alone: async (_, content) => (await import('../serve/rnic_alone.js')).serveAlone(content),
  pong: async ({ options }) => (await import('../serve/control.js')).servePong(options as never),
}

const given = job() as ServerJob
answer(await SERVERS[given.kind]!(given, readFileSync(given.content)))
await once(process.stdin.resume(), 'end')
process.exit(0)
