/** Faults that the addon caught, each handed to whoever watches the memory that it hit. */
import { native, type Fault, type MemoryId } from '../native/native.js'

/** Codes of SIGBUS (sigaction(2)): the medium has lost what was there. */
const BUS_MCEERR_AR = 4
/** The same, told before anybody came there: no access failed. */
const BUS_MCEERR_AO = 5

/** Taken from the addon, not yet asked for, oldest first. */
const waiting = new Map<MemoryId, Fault[]>()
/** Faults that the addon counted up to the last time that they were taken. */
let counted = 0
/** Faults of which the addon kept no record: more at once than it has room for. */
let lost = 0

/** Faults in a memory that were not told of yet. */
export function faultsIn(memory: MemoryId): Fault[] {
  const now = native.faultCounter[0]!
  const taken = native.takeFaults()
  lost += Math.max(0, now - counted - taken.length)
  counted = now
  for (const fault of taken) {
    const faults = waiting.get(fault.memory)
    if (faults === undefined) waiting.set(fault.memory, [fault])
    else faults.push(fault)
  }
  const found = waiting.get(memory) ?? []
  waiting.delete(memory)
  return found
}

/** How many faults nobody knows the place of. */
export const faultsLost = () => lost

export const isPoison = ({ signal, code }: Fault) =>
  signal === 'SIGBUS' && (code === BUS_MCEERR_AR || code === BUS_MCEERR_AO)

/** Whether an access failed: zeros stand where it was, or what was stored is lost. */
export const isAccess = ({ signal, code }: Fault) => signal !== 'SIGBUS' || code !== BUS_MCEERR_AO

/** The memory is gone. */
export function forgetFaults(memory: MemoryId): void {
  waiting.delete(memory)
}
