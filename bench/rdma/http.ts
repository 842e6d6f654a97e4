/**
 * HTTP: nginx, as many workers as processors (one is no faster, no slower), plain HTTP/1.1 on
 * loopback with connections that are kept. Objects are files on tmpfs, a directory for each size; a
 * get is sent by sendfile from descriptors that are kept open (open_file_cache), a put is PUT of
 * its dav module (a file beside, renamed into place). No access log.
 *
 * Client: undici, a Pool with a connection for each request outstanding; `dispatch`, whose handler
 * copies each piece of the body to where it belongs as it comes.
 */
import { mkdirSync, writeFileSync } from 'node:fs'
import { neededPackage } from '../peer_packages.js'
import type { Server } from './pair.js'
import { Daemon, freePort } from './process.js'
import { slotsOf, type Area, type Done, type Store } from './work.js'

const path = (area: Area, bytes: number, offset: number): string => `/${area}/${bytes}/${offset}`

export async function nginxServer(
  directory: string,
  content: Buffer,
  sizes: readonly number[],
): Promise<Server> {
  const port = await freePort()
  const root = `${directory}/www`
  for (const bytes of sizes) {
    mkdirSync(`${root}/changing/${bytes}`, { recursive: true })
    mkdirSync(`${root}/fixed/${bytes}`, { recursive: true })
    for (let at = 0; at < bytes * slotsOf(bytes); at += bytes) {
      writeFileSync(`${root}${path('fixed', bytes, at)}`, content.subarray(at, at + bytes))
    }
  }
  const file = `${directory}/nginx.conf`
  const log = `${directory}/nginx.log`
  writeFileSync(file, configuration(directory, root, port, log))
  const daemon = new Daemon('nginx', ['-c', file, '-e', log], log)
  await daemon.listening(port)
  return { place: port, pids: () => daemon.pids(), end: () => daemon.end() }
}

function configuration(directory: string, root: string, port: number, log: string): string {
  return `
daemon off;
worker_processes auto;
${process.getuid?.() === 0 ? 'user root;' : ''}
pid ${directory}/nginx.pid;
error_log ${log};
events { worker_connections 256; }
http {
  access_log off;
  sendfile on;
  tcp_nopush on;
  tcp_nodelay on;
  keepalive_requests 1000000000;
  keepalive_timeout 1h;
  client_max_body_size 2m;
  client_body_buffer_size 2m;
  client_body_temp_path ${directory}/body;
  proxy_temp_path ${directory}/unused;
  fastcgi_temp_path ${directory}/unused;
  uwsgi_temp_path ${directory}/unused;
  scgi_temp_path ${directory}/unused;
  server {
    listen 127.0.0.1:${port};
    root ${root};
    location /fixed/ {
      open_file_cache max=10000 inactive=1h;
      open_file_cache_valid 1h;
    }
    location /changing/ { dav_methods PUT; }
  }
}
`
}

interface Handler {
  onConnect(abort: () => void): void
  onHeaders(status: number, headers: Buffer[], resume: () => void, text: string): boolean
  onData(bytes: Buffer): boolean
  onComplete(trailers: Buffer[]): void
  onError(error: Error): void
}

interface Undici {
  Pool: new (
    origin: string,
    options: Record<string, unknown>,
  ) => {
    dispatch(options: Record<string, unknown>, handler: Handler): boolean
    close(): Promise<void>
  }
}

export async function connectUndici(port: number, connections: number): Promise<Store> {
  const { Pool } = neededPackage<Undici>('undici')
  const pool = new Pool(`http://127.0.0.1:${port}`, { connections, pipelining: 1 })
  const ask = (options: Record<string, unknown>, into: Buffer | null, done: Done) => {
    let at = 0
    let status = 0
    pool.dispatch(options, {
      onConnect: () => {},
      onHeaders: (found) => {
        status = found
        return true
      },
      onData: (bytes) => {
        if (into !== null) at += bytes.copy(into, at)
        return true
      },
      onComplete: () => {
        if (status >= 300) done(new Error(`${String(options['path'])}: status ${status}`))
        else if (into === null || at === into.length) done(null)
        else done(new Error(`an object of ${at} bytes`))
      },
      onError: done,
    })
  }
  return {
    get: (area, offset, into, done) =>
      ask({ path: path(area, into.length, offset), method: 'GET' }, into, done),
    put: (offset, from, done) =>
      ask({ path: path('changing', from.length, offset), method: 'PUT', body: from }, null, done),
    close: () => pool.close(),
  }
}
