/**
 * gRPC: @grpc/grpc-js on both sides, without TLS, one channel. Unary calls whose messages are the
 * bytes themselves (no protobuf around them: nothing to encode), with a place of 8 bytes before
 * them or instead of them; message sizes unlimited. The client copies what it got to where it
 * belongs, the server what was put.
 */
import { neededPackage } from '../peer_packages.js'
import type { Area, Store } from './work.js'

interface Method {
  readonly path: string
  readonly requestStream: false
  readonly responseStream: false
  requestSerialize(bytes: Buffer): Buffer
  requestDeserialize(bytes: Buffer): Buffer
  responseSerialize(bytes: Buffer): Buffer
  responseDeserialize(bytes: Buffer): Buffer
}

type Answer = (error: Error | null, bytes?: Buffer) => void

interface GrpcClient {
  get(request: Buffer, answer: Answer): void
  put(request: Buffer, answer: Answer): void
  waitForReady(deadline: number, ready: (error?: Error) => void): void
  close(): void
}

interface Grpc {
  Server: new (options: Record<string, number>) => {
    addService(service: object, handlers: object): void
    bindAsync(
      place: string,
      credentials: unknown,
      bound: (e: Error | null, port: number) => void,
    ): void
  }
  ServerCredentials: { createInsecure(): unknown }
  credentials: { createInsecure(): unknown }
  makeGenericClientConstructor(
    service: object,
    name: string,
  ): new (place: string, credentials: unknown, options: Record<string, number>) => GrpcClient
}

const asItIs = (bytes: Buffer): Buffer => bytes

const method = (name: string): Method => ({
  path: `/objects/${name}`,
  requestStream: false,
  responseStream: false,
  requestSerialize: asItIs,
  requestDeserialize: asItIs,
  responseSerialize: asItIs,
  responseDeserialize: asItIs,
})

const SERVICE = { get: method('get'), put: method('put') }
const UNLIMITED = { 'grpc.max_receive_message_length': -1, 'grpc.max_send_message_length': -1 }
const PLACE_BYTES = 8
const AREAS: readonly Area[] = ['fixed', 'changing']

type Call = { readonly request: Buffer }

export async function serveGrpc(content: Buffer): Promise<number> {
  const { Server, ServerCredentials } = neededPackage<Grpc>('@grpc/grpc-js')
  const changing = Buffer.alloc(content.length)
  const areas = [content, changing]
  const server = new Server(UNLIMITED)
  server.addService(SERVICE, {
    get({ request }: Call, answer: Answer) {
      const word = request.readUInt32LE(0)
      const offset = word & ~1
      answer(null, areas[word & 1]!.subarray(offset, offset + request.readUInt32LE(4)))
    },
    put({ request }: Call, answer: Answer) {
      request.copy(changing, request.readUInt32LE(0), PLACE_BYTES)
      answer(null, Buffer.alloc(0))
    },
  })
  return new Promise((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, port) =>
      error === null ? resolve(port) : reject(error),
    )
  })
}

export async function connectGrpc(port: number): Promise<Store> {
  const { makeGenericClientConstructor, credentials } = neededPackage<Grpc>('@grpc/grpc-js')
  const Client = makeGenericClientConstructor(SERVICE, 'objects')
  const client = new Client(`127.0.0.1:${port}`, credentials.createInsecure(), UNLIMITED)
  await new Promise<void>((resolve, reject) => {
    client.waitForReady(Date.now() + 30_000, (error) => (error ? reject(error) : resolve()))
  })
  return {
    get(area, offset, into, done) {
      const request = Buffer.alloc(PLACE_BYTES)
      request.writeUInt32LE(offset | AREAS.indexOf(area), 0)
      request.writeUInt32LE(into.length, 4)
      client.get(request, (error, bytes) => {
        if (error !== null) done(error)
        else if (bytes!.copy(into) === into.length) done(null)
        else done(new Error(`an object of ${bytes!.length} bytes`))
      })
    },
    put(offset, from, done) {
      const request = Buffer.allocUnsafe(PLACE_BYTES + from.length)
      request.writeUInt32LE(offset, 0)
      from.copy(request, PLACE_BYTES)
      client.put(request, (error) => done(error))
    },
    async close() {
      client.close()
    },
  }
}
