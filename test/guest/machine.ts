/** A guest: qemu with a serial console, read line by line, and killed without a warning. */
import { spawn } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { createInterface } from 'node:readline'
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

/** Emulated: it works wherever qemu does, within another virtual machine too. */
function commandLine(boot: Boot): string[] {
  const { kernel, initrd, tools } = boot.guest
  const words = [
    'console=ttyS0 quiet panic=-1 mitigations=off',
    `holdfast.run=${boot.program}`,
    `holdfast.arguments=${boot.args.join(',')}`,
  ]
  return [
    ...['-accel', 'tcg,thread=multi,tb-size=256', '-cpu', 'max'],
    ...['-machine', 'q35,nvdimm=on', '-smp', '1', '-m', '768M,slots=2,maxmem=4G'],
    ...['-nodefaults', '-no-reboot', '-display', 'none', '-serial', 'stdio', '-monitor', 'none'],
    ...['-kernel', kernel, '-initrd', initrd, '-append', words.join(' ')],
    ...drive(tools, ',readonly=on'),
    ...(boot.disk === undefined ? [] : drive(boot.disk, '')),
    ...(boot.memory === undefined ? [] : persistentMemory(boot.memory, MEMORY_BYTES)),
  ]
}

/** Boots; resolves with all lines of the console when qemu is gone. They are kept in a log, too. */
export async function bootGuest(boot: Boot): Promise<Ended> {
  const qemu = spawn('qemu-system-x86_64', commandLine(boot), { stdio: ['ignore', 'pipe', 'pipe'] })
  const lines: string[] = []
  const log: string[] = []
  const start = performance.now()
  const add = (line: string) => {
    lines.push(line)
    log.push(`${((performance.now() - start) / 1000).toFixed(1).padStart(6)} ${line}\n`)
  }
  let killed = false
  const patience = setTimeout(() => {
    add(`killed after ${boot.patience} ms, which was not asked for`)
    qemu.kill('SIGKILL')
  }, boot.patience)
  createInterface({ input: qemu.stdout }).on('line', (text) => {
    // What came after the decision is not asked for any more: but it was acknowledged.
    add(text.replace(/\r/g, ''))
    const delay = killed ? null : boot.onLine(lines[lines.length - 1]!)
    if (delay === null) return
    killed = true
    setTimeout(() => qemu.kill('SIGKILL'), delay)
  })
  createInterface({ input: qemu.stderr }).on('line', (text) => add(`qemu: ${text}`))
  await new Promise((resolve) => qemu.on('close', resolve))
  clearTimeout(patience)
  writeFileSync(join(dirname(boot.guest.tools), `${boot.program}.log`), log.join(''))
  return { lines, killed }
}
