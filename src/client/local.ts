/** A client on the same machine: over a Unix socket. */
import { connectUnix } from '../native/unix.js'
import { Client, type ClientOptions } from './client.js'
import { LocalFile } from './local_file.js'
import { Passed } from './passed.js'

/** Connects to the server that listens at the path of a Unix socket. */
export function connectLocal(path: string, options: ClientOptions = {}): Promise<Client> {
  const passed = new Passed()
  const connect = async (signal: AbortSignal) => {
    const stream = await connectUnix(path, signal)
    stream.wantDescriptors(1)
    return { stream }
  }
  return Client.connect(
    path,
    connect,
    {
      file: (client) => (opened, flags) =>
        new LocalFile(client, () => passed.use(client), opened, flags),
      lost: () => passed.lost(),
      maps: () => passed.maps,
      show: (alive) => passed.show(alive),
      closed: () => passed.lost(),
    },
    options,
  )
}
