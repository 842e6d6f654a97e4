/** What an operation makes the kernel and the medium do: system calls, fences, flushed lines. */
import type { Setting } from '../serve.js'
import { countCalls } from '../rdma/calls.js'
import type { Pair } from '../rdma/pair.js'
import { print } from '../rdma/rounds.js'
import type { Round } from '../rdma/work.js'
import { CALLS } from './control.js'
import { served } from './parts.js'

const MIB = 1 << 20
const SMALL: Round = { operation: 'get', bytes: 4096, outstanding: 1, count: 1000 }
const LARGE: Round = { operation: 'get', bytes: MIB, outstanding: 4, count: 128 }

export async function counts(setting: Setting): Promise<void> {
  const calls = await served(setting, 'calls')
  const file = await served(setting, 'served', 'file')
  const rows: string[][] = []
  const count = async (name: string, pair: Pair, round: Round) => {
    await pair.round(round)
    const before = await setting.daemon.counters()
    const { client, server } = await countCalls(pair, round, setting.place.directory)
    const after = await setting.daemon.counters()
    const each = (of: keyof typeof before) => ((after[of] - before[of]) / round.count).toFixed(2)
    rows.push([name, client, server, each('fences'), each('linesFlushed'), each('bytesStored')])
  }
  for (const [form, name] of CALLS.entries()) {
    await count(name, calls, { ...SMALL, bytes: 1, form })
  }
  await count('remote read of 4 KiB', file, SMALL)
  await count('remote read of 1 MiB', file, LARGE)
  await count('remote write of 1 MiB', file, { ...LARGE, operation: 'put' })
  const medium = ['fences', 'lines flushed', 'bytes stored by the volume']
  print('An operation', ['', 'calls of the client', 'of the daemon', ...medium], rows)
  await calls.end()
  await file.end()
}
