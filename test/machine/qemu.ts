/** qemu with a serial console, read line by line, and killed without a warning. */
import { spawn, type ChildProcess } from 'node:child_process'
import { appendFileSync, writeFileSync } from 'node:fs'
import { createInterface } from 'node:readline'

export interface MachineOptions {
  readonly kernel: string
  readonly initrd: string
  /** Words on the command line of the kernel. */
  readonly append: readonly string[]
  /** Of `-machine` and `-m`. */
  readonly machine: string
  readonly memory: string
  readonly devices: readonly string[]
  /** Milliseconds after which the machine is given up. */
  readonly patience: number
  /** Where the lines of the console are kept, with the seconds at which they came. */
  readonly log: string
  onLine(line: string): void
}

/** Emulated: it works wherever qemu does, within another virtual machine too. */
function commandLine(options: MachineOptions): string[] {
  const words = ['console=ttyS0 quiet panic=-1 mitigations=off', ...options.append]
  return [
    ...['-accel', 'tcg,thread=multi,tb-size=256', '-cpu', 'max'],
    ...['-machine', options.machine, '-smp', '1', '-m', options.memory],
    ...['-nodefaults', '-no-reboot', '-display', 'none', '-serial', 'stdio', '-monitor', 'none'],
    ...['-kernel', options.kernel, '-initrd', options.initrd, '-append', words.join(' ')],
    ...options.devices,
  ]
}

export class Machine {
  /** All lines of the console so far. */
  readonly lines: string[] = []
  /** When qemu is gone. */
  readonly ended: Promise<void>
  readonly #qemu: ChildProcess
  readonly #log: string
  readonly #start = performance.now()
  readonly #kill = () => this.kill()

  constructor(options: MachineOptions) {
    const qemu = spawn('qemu-system-x86_64', commandLine(options), {
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    this.#qemu = qemu
    this.#log = options.log
    writeFileSync(options.log, '')
    // A test that fails in a way that nobody expected leaves no machine behind.
    process.on('exit', this.#kill)
    const patience = setTimeout(() => {
      this.#add(`killed after ${options.patience} ms, which was not asked for`)
      this.kill()
    }, options.patience)
    createInterface({ input: qemu.stdout }).on('line', (text) => {
      const line = text.replace(/\r/g, '')
      this.#add(line)
      options.onLine(line)
    })
    createInterface({ input: qemu.stderr }).on('line', (text) => this.#add(`qemu: ${text}`))
    this.ended = new Promise((resolve) => {
      qemu.on('close', () => {
        clearTimeout(patience)
        process.off('exit', this.#kill)
        resolve()
      })
    })
  }

  /** As a power cut. */
  kill(): void {
    this.#qemu.kill('SIGKILL')
  }

  #add(line: string): void {
    this.lines.push(line)
    const seconds = ((performance.now() - this.#start) / 1000).toFixed(1)
    appendFileSync(this.#log, `${seconds.padStart(6)} ${line}\n`)
  }
}
