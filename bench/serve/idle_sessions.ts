/** What 1000 remote sessions that do nothing cost the daemon, and those who have them. */
import type { Setting } from '../serve.js'
import type { Memory } from '../child.js'
import { Worker } from '../rdma/process.js'
import { print } from '../rdma/rounds.js'

const SESSIONS = 1000
const PROCESSES = 4
const WANTED_BYTES = 50 << 20

const mebibytes = (bytes: number) => (bytes / (1 << 20)).toFixed(1)

export async function idle({ daemon }: Setting): Promise<void> {
  const workers = Array.from({ length: PROCESSES }, () =>
    Worker.node('../serve/idle.js', daemon.place, ['--expose-gc']),
  )
  const askAll = async (question: string) => {
    let sum = 0
    for (const worker of workers) sum += ((await worker.ask(question)) as Memory).resident
    return sum
  }
  // One each first: what a process or the daemon makes once is no session's.
  const clientsBefore = await askAll('connect 1')
  const before = await daemon.memory()
  const clients = await askAll(`connect ${SESSIONS / PROCESSES}`)
  const connected = await daemon.memory()
  const reading = await askAll('read')
  const read = await daemon.memory()
  const row = (what: string, { resident, heap }: Memory, all: number, wanted: boolean) => {
    const grown = resident - before.resident
    return [
      what,
      mebibytes(grown),
      mebibytes(heap - before.heap),
      mebibytes(all - clientsBefore),
      ...(wanted ? ['<= 50', grown <= WANTED_BYTES ? 'met' : '**missed**'] : ['', '']),
    ]
  }
  print(
    `${SESSIONS} idle remote sessions, MiB that processes grow by`,
    ['', 'the daemon', 'its heap', 'the clients', 'wanted', ''],
    [
      row('connected', connected, clients, true),
      row('with a file open and a data connection', read, reading, false),
    ],
  )
  for (const worker of workers) await worker.end()
}
