/** Steps: a layout that was lent is asked back, with and without an answer. */
import { demand, milliseconds, refusal, same, type Step } from './step.js'

const BLOCKS = 256
const DEADLINE = 400

export const recall: Step = {
  name: 'recall',
  title: 'a layout that was lent is asked back, and given back',
  linux:
    'fcntl(F_SETLEASE) is broken by open(2) and truncate(2), after 45 s (lease-break-time) if need ' +
    'be; it knows of no mapping and no registration. Only knfsd recalls layouts (pNFS).',
  async run({ alice, nic }, told) {
    const file = { path: '/lent.bin', seed: 6, count: BLOCKS }
    await alice.ask('create', file)
    await nic.ask('open', file)
    await nic.ask('lend', { ...file, reason: 'writes results' })
    await nic.ask('put', { ...file, version: 1 })
    const size = (BLOCKS / 2) * 4096
    const took = await alice.ask<number>('truncate', { ...file, size })
    const { change } = await nic.event<{ change: string }>(`recalled ${file.path}`)
    const end = await nic.event<string>(`over ${file.path}`)
    demand(change === 'shrink', `nic was told of ${change}`)
    demand(end === 'released', `the layout is ${end}, not released`)
    const left = { ...file, count: BLOCKS / 2, version: 1 }
    same('what nic had written', await alice.ask('read', left))
    demand((await alice.ask('size', file)) === size, 'the file is not shorter')
    told.verified(`alice truncates; nic is asked, and answers: done in ${milliseconds(took)}`)
  },
}

export const fence: Step = {
  name: 'fence',
  title: 'another does not answer, and is fenced when its time is over',
  linux:
    'A pinned registration cannot be taken back: the device writes on until the process ' +
    'deregisters it or dies. Who does not answer keeps everybody waiting.',
  async run({ alice, nic }, told) {
    const file = { path: '/kept.bin', seed: 7, count: BLOCKS }
    await alice.ask('create', file)
    await nic.ask('open', file)
    await nic.ask('lend', { ...file, reason: 'does not listen', answers: false })
    same('what nic reads', await nic.ask('fetch', file))
    const took = await alice.ask<number>('truncate', { ...file, deadline: DEADLINE })
    const end = await nic.event<string>(`over ${file.path}`)
    await nic.event(`recalled ${file.path}`)
    demand(end === 'fenced', `the layout is ${end}, not fenced`)
    demand(took >= DEADLINE, `it was done after ${milliseconds(took)}, before the deadline`)
    told.did(`alice truncates, with a deadline of ${DEADLINE} ms: done in ${milliseconds(took)}`)
    const error = await refusal('ESTALE', 'reading on', () => nic.ask('fetch', file))
    told.did(error.message)
    const other = { path: '/other.bin', seed: 8, count: 8 }
    await alice.ask('create', other)
    await nic.ask('open', other)
    same('another file, in the same session', await nic.ask('read', other))
    told.verified('the next access of nic is ESTALE; its session and its other files live on')
  },
}
