/**
 * npm run bench [-- operations | scale | ageing | layout | loop | peers | rdma | rdma-peers |
 * sources | serve | cache | mount] [-- options]: each part says its options at its top.
 */
import { ageing } from './ageing.js'
import { cache } from './cache.js'
import { layout } from './layout.js'
import { loop } from './loop.js'
import { mount } from './mount.js'
import { operations } from './operations.js'
import { peers } from './peers.js'
import { rdma } from './rdma.js'
import { rdmaPeers } from './rdma_peers.js'
import { scale } from './scale.js'
import { serve } from './serve.js'
import { sources } from './sources.js'

type Part = (args: string[]) => void | Promise<void>

const PARTS: Readonly<Record<string, Part>> = {
  operations,
  scale,
  ageing,
  layout,
  loop,
  peers,
  rdma,
  'rdma-peers': rdmaPeers,
  sources,
  serve,
  cache,
  mount,
}

const args = process.argv.slice(2)
const name = args[0] === undefined || args[0].startsWith('-') ? 'operations' : args.shift()!
const part = PARTS[name]
if (part === undefined) {
  console.error(`bench: no part '${name}'; there are ${Object.keys(PARTS).join(', ')}`)
  process.exitCode = 2
} else await part(args)
