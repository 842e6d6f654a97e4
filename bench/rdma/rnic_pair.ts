/** The RNIC as a pair of processes. */
import type { Place } from './content.js'
import { nodeServer, Pair } from './pair.js'
import type { RnicOptions } from './rnic.js'

export async function rnicPair(
  { content }: Place,
  options: RnicOptions,
  nodeOptions: readonly string[] = [],
): Promise<Pair> {
  const job = { kind: 'rnic', content, options }
  const server = await nodeServer(job, nodeOptions)
  const { memory = 'plain' } = options
  const name = `RNIC, CRC ${options.crc ? 'on' : 'off'}${memory === 'plain' ? '' : `, ${memory}`}`
  return Pair.start(name, server, () =>
    Pair.nodeClient({ ...job, place: server.place }, nodeOptions),
  )
}
