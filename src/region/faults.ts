/** Faults that the addon caught, each handed to whoever watches the memory that it hit. */
import { native, type Fault, type MemoryId } from '../native/native.js'

/** Taken from the addon, not yet asked for: the latest of each memory. */
const waiting = new Map<MemoryId, Fault>()

/** The latest fault in a memory that was not told of yet. */
export function faultIn(memory: MemoryId): Fault | undefined {
  for (const fault of native.takeFaults()) waiting.set(fault.memory, fault)
  const fault = waiting.get(memory)
  waiting.delete(memory)
  return fault
}

/** The memory is gone. */
export function forgetFaults(memory: MemoryId): void {
  waiting.delete(memory)
}
