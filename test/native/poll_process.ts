/** Processes whose event loop poll.test.ts looks at from outside. */
import { tcp } from '../../src/native/tcp.js'
import type { ByteStream } from '../../src/base/byte_stream.js'

async function connected(): Promise<{ client: ByteStream; server: ByteStream }> {
  let server: ByteStream | undefined
  const listener = await tcp.listen('127.0.0.1', 0, (stream) => {
    server = stream
  })
  const client = await tcp.connect('127.0.0.1', listener.port)
  while (server === undefined) await new Promise((resolve) => setImmediate(resolve))
  listener.close()
  return { client, server }
}

/** Throws at the first three calls; microtasks of each come before the next. */
async function throws(): Promise<void> {
  const uncaught: string[] = []
  const microtasks: number[] = []
  process.on('uncaughtException', ({ message }) => uncaught.push(message))
  const { client, server } = await connected()
  const bytes = new Uint8Array(10)
  let call = 0
  client.attach({
    readable() {
      const number = ++call
      if (number <= 3) {
        void Promise.resolve().then(() => microtasks.push(number))
        throw new Error(String(number))
      }
      if (client.receive(bytes, 0, 10) !== 10) throw new Error('the bytes are gone')
      client.close()
      server.close()
      const told = [uncaught, microtasks].map((list) => list.join(', '))
      console.log(`uncaught ${told[0]}; microtasks ${told[1]}`)
    },
    writable() {},
  })
  server.send(bytes, 0, 10)
}

async function dies(): Promise<void> {
  const { client, server } = await connected()
  client.attach({
    readable() {
      throw new Error('meant')
    },
    writable() {},
  })
  process.on('exit', (code) => {
    process.exitCode = code === 1 ? 7 : code
  })
  server.send(new Uint8Array(1), 0, 1)
}

/** Nothing but a stream that is not read is open; who closes it does not hold the process. */
async function stays(): Promise<void> {
  const { client, server } = await connected()
  server.close()
  client.reading(false)
  client.attach({ readable() {}, writable() {} })
  console.log('open')
  setTimeout(() => {
    console.log('still here')
    client.close()
  }, 200).unref()
}

const parts: Record<string, () => Promise<void>> = { throws, dies, stays }
await parts[process.argv[2]!]!()
