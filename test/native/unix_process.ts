/**
 * Another process at a Unix socket, run by unix.test.ts and descriptors.test.ts:
 *
 *   connect PATH   prints who listens there, or why not, and waits for the end
 *   adopt          serves one connection of the listening socket that it was started with
 *   listen PATH    listens there as soon as a line comes, prints what came of it, waits for the end
 *   take PATH      takes descriptors until it can take no more, prints why
 */
import { once } from 'node:events'
import { readdirSync } from 'node:fs'
import { listenDescriptors } from '../../src/native/systemd.js'
import { adoptUnix, connectUnix, listenUnix } from '../../src/native/unix.js'
import { all, close, End, queue } from './streams.js'

const [, , verb, path = ''] = process.argv

async function connect(): Promise<void> {
  const stream = await connectUnix(path).catch((error) => (error as { code: string }).code)
  if (typeof stream === 'string') return console.log(stream)
  console.log(JSON.stringify(stream.credentials))
  const end = new End(stream)
  await end.next()
  close(end)
}

async function adopt(): Promise<void> {
  const [{ fd, name }, ...others] = listenDescriptors() as [{ fd: number; name: string }]
  const { accepted, accept } = queue()
  const listener = adoptUnix(fd, accepted)
  console.log(JSON.stringify({ fd, name, others: others.length, path: listener.path }))
  const end = new End(await accept())
  listener.close()
  await end.send((await end.next())!, all)
  close(end)
}

async function listen(): Promise<void> {
  console.log('ready')
  await once(process.stdin, 'data')
  const listening = listenUnix(path, 0o600, (stream) => stream.close())
  const outcome = await listening.catch((error) => (error as { code: string }).code)
  console.log(typeof outcome === 'string' ? outcome : 'listening')
  process.stdin.resume()
  await once(process.stdin, 'end')
  if (typeof outcome !== 'string') outcome.close()
}

async function take(): Promise<void> {
  const stream = await connectUnix(path)
  stream.wantDescriptors(1000)
  const end = new End(stream)
  // Whatever is loaded late is loaded by now.
  readdirSync('/proc/self/fd')
  const before = readdirSync('/proc/self/fd').length
  let taken = 0
  try {
    for (;;) {
      await end.next()
      taken = stream.takeDescriptors().length + taken
    }
  } catch (error) {
    const held = readdirSync('/proc/self/fd').length - before
    console.log(JSON.stringify({ code: (error as { code: string }).code, taken, held }))
  }
  close(end)
}

const verbs: Record<string, () => Promise<void>> = { connect, adopt, listen, take }
await verbs[verb!]!()
