/** A guest with persistent memory and disks, killed without a warning. */
import { dirname, join } from 'node:path'
import { Machine } from '../machine/qemu.js'
import type { Guest } from './images.js'

export interface Boot {
  readonly guest: Guest
  /** The program of test/guest/inside/ that is run, and its arguments: no space, no comma. */
  readonly program: string
  readonly args: readonly string[]
  /** An image that the guest has as a disk, and mounts. */
  readonly disk?: string
  /** A file that the guest has as persistent memory. */
  readonly memory?: string
  /** Milliseconds after which the guest is given up. */
  readonly patience: number
  /** Called with each line of the console; a number: kill the guest in so many milliseconds. */
  onLine(line: string): number | null
}

export interface Ended {
  readonly lines: readonly string[]
  readonly killed: boolean
}

/** Of the persistent memory, for the labels of its namespaces. */
const LABEL_BYTES = 256 << 10

function drive(file: string, extra: string): string[] {
  // Writes of the guest go to the page cache of the host, which outlives qemu; what the guest has
  // not written yet, in its own page cache, dies with it.
  return ['-drive', `file=${file},format=raw,if=virtio,cache=writeback${extra}`]
}

function persistentMemory(file: string, bytes: number): string[] {
  return [
    ...['-object', `memory-backend-file,id=pm,share=on,mem-path=${file},size=${bytes}`],
    ...['-device', `nvdimm,id=nv,memdev=pm,label-size=${LABEL_BYTES}`],
  ]
}

export const MEMORY_BYTES = 704 << 20

/** Boots; resolves with all lines of the console when qemu is gone. They are kept in a log, too. */
export async function bootGuest(boot: Boot): Promise<Ended> {
  const { kernel, initrd, tools } = boot.guest
  let killed = false
  const machine: Machine = new Machine({
    kernel,
    initrd,
    append: [`holdfast.run=${boot.program}`, `holdfast.arguments=${boot.args.join(',')}`],
    machine: 'q35,nvdimm=on',
    memory: '768M,slots=2,maxmem=4G',
    devices: [
      ...drive(tools, ',readonly=on'),
      ...(boot.disk === undefined ? [] : drive(boot.disk, '')),
      ...(boot.memory === undefined ? [] : persistentMemory(boot.memory, MEMORY_BYTES)),
    ],
    patience: boot.patience,
    log: join(dirname(tools), `${boot.program}.log`),
    onLine: (line) => {
      // What came after the decision is not asked for any more: but it was acknowledged.
      const delay = killed ? null : boot.onLine(line)
      if (delay === null) return
      killed = true
      setTimeout(() => machine.kill(), delay)
    },
  })
  await machine.ended
  return { lines: machine.lines, killed }
}
