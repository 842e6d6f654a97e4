/**
 * The guest while it runs, behind qemu's user network: a shell for each connection to its control
 * port, ports of this machine that lead to ports of the guest, and the settings of its siw.
 *
 * Invariants:
 * - every command in the guest ends, by itself or with its connection or killed at its time;
 * - a port of the guest is given out once: nobody meets what another listener left.
 */
import { createServer, connect as connectTo, type AddressInfo, type Socket } from 'node:net'
import { createInterface } from 'node:readline'
import { Machine } from '../machine/qemu.js'
import type { Image } from './image.js'
import { SETTINGS } from './siw.js'

/** How the guest names this machine. */
export const HOST = '10.0.2.2'
/** Where this machine finds what the guest listens at. */
export const HERE = '127.0.0.1'
const GUEST = '10.0.2.15'
const CONTROL_PORT = 7000
const FIRST_PORT = 7174
const PORTS = 96
const BOOT_MS = 120_000
/** The whole life of a guest. */
const PATIENCE_MS = 570_000
const ATTEMPTS = 3
const COMMAND_SECONDS = 60
const WAIT_MS = 20_000

export interface ListeningPort {
  /** To be listened at in the guest. */
  readonly guest: number
  /** On this machine. */
  readonly host: number
}

/** A command in the guest, and the lines that it prints. */
export class GuestProgram {
  readonly lines: string[] = []
  /** The status, or -1 when its connection broke. */
  readonly ended: Promise<number>
  readonly #socket: Socket
  readonly #watchers = new Set<() => void>()
  #pid = 0
  #status: number | null = null
  #end: (status: number) => void = () => {}

  constructor(socket: Socket, command: string, seconds: number) {
    this.#socket = socket
    // That the connection broke is told by its end.
    socket.on('error', () => {})
    createInterface({ input: socket })
      .on('error', () => {})
      .on('line', (line) => this.#take(line))
    // A job in the background has no input, unless it is told.
    const job = `exec 3<&0; busybox timeout -s KILL ${seconds} ${command} <&3 2>&1 & p=$!`
    socket.write(`${job}; echo "@pid $p"; wait $p; echo "@status $?"; exit\n`)
    this.ended = new Promise((resolve) => (this.#end = resolve))
    socket.on('close', () => this.#over(-1))
  }

  #take(line: string): void {
    const [, word, value] = /^@(pid|status) (\d+)$/.exec(line) ?? []
    if (word === 'status') return this.#over(Number(value))
    if (word === 'pid') this.#pid = Number(value)
    else this.lines.push(line)
    this.#changed()
  }

  #over(status: number): void {
    if (this.#status !== null) return
    this.#status = status
    this.#socket.destroy()
    this.#end(status)
    this.#changed()
  }

  #changed(): void {
    for (const watcher of [...this.#watchers]) watcher()
  }

  /** Waits until the test finds something; throws when the command ends before, or with time. */
  async until<T>(find: (lines: readonly string[]) => T | undefined, ms = WAIT_MS): Promise<T> {
    let forget = () => {}
    try {
      return await new Promise<T>((resolve, reject) => {
        const give = (why: string) => {
          reject(new Error(`${why}:\n${this.lines.slice(-30).join('\n')}`))
        }
        const look = () => {
          const found = find(this.lines)
          if (found !== undefined) resolve(found)
          else if (this.#status !== null) give(`ended with ${this.#status}`)
        }
        const timer = setTimeout(() => give(`nothing after ${ms} ms`), ms)
        forget = () => {
          clearTimeout(timer)
          this.#watchers.delete(look)
        }
        this.#watchers.add(look)
        look()
      })
    } finally {
      forget()
    }
  }

  /** Waits for a line that is one of those that are looked for, and takes it away. */
  async take<T>(find: (line: string) => T | undefined, ms = WAIT_MS): Promise<T> {
    return await this.until(() => {
      for (const [index, line] of this.lines.entries()) {
        const found = find(line)
        if (found === undefined) continue
        this.lines.splice(index, 1)
        return found
      }
      return undefined
    }, ms)
  }

  get pid(): number {
    return this.#pid
  }

  write(line: string): void {
    this.#socket.write(`${line}\n`)
  }

  /** Ends its input. */
  end(): void {
    this.#socket.end()
  }
}

export class Guest {
  readonly #machine: Machine
  readonly #ports: readonly number[]
  #given = 1

  constructor(machine: Machine, ports: readonly number[]) {
    this.#machine = machine
    this.#ports = ports
  }

  get console(): readonly string[] {
    return this.#machine.lines
  }

  async #connect(): Promise<Socket> {
    const socket = connectTo({ host: HERE, port: this.#ports[0]!, noDelay: true })
    await new Promise((resolve, reject) => socket.once('connect', resolve).once('error', reject))
    return socket
  }

  /** Starts a command, which is killed after these seconds. */
  async start(command: string, seconds = COMMAND_SECONDS): Promise<GuestProgram> {
    const program = new GuestProgram(await this.#connect(), command, seconds)
    await program.until(() => (program.pid === 0 ? undefined : true))
    return program
  }

  /** Runs a command to its end, which must be a good one; returns its lines. */
  async run(command: string): Promise<readonly string[]> {
    const program = await this.start(command)
    const status = await program.ended
    if (status === 0) return program.lines
    throw new Error(`${command} in the guest: status ${status}\n${program.lines.join('\n')}`)
  }

  /** As from a crash: what it holds is let go by the kernel. */
  async kill(program: GuestProgram): Promise<void> {
    await this.run(`busybox kill -KILL ${program.pid}`)
    await program.ended
  }

  /** A port that nobody has listened at. */
  newPort(): ListeningPort {
    const index = this.#given++
    const host = this.#ports[index]
    if (host === undefined) throw new Error(`all ${PORTS} ports of the guest were used`)
    return { guest: FIRST_PORT + index, host }
  }

  /** How siw behaves towards connections from now on. */
  async configure(settings: { crc?: boolean; peerToPeer?: boolean; rtr?: number }): Promise<void> {
    const set = { crc: false, peerToPeer: false, rtr: 0xc000, ...settings }
    for (const key of ['crc', 'peerToPeer', 'rtr'] as const) {
      const file = `/sys/module/siw/parameters/${SETTINGS[key]}`
      await this.run(`sh -c 'echo ${Number(set[key])} > ${file}'`)
    }
  }

  /** What the kernel said since the last call. */
  async kernelLog(): Promise<readonly string[]> {
    return await this.run('busybox dmesg -c')
  }

  async stop(): Promise<void> {
    this.#machine.kill()
    await this.#machine.ended
  }

  /** Asks until the guest answers. */
  async waitForControl(deadline: number): Promise<void> {
    for (;;) {
      const program = await this.start('busybox true', 5).catch(() => null)
      if (program !== null && (await program.ended) === 0) return
      if (performance.now() > deadline) {
        throw new Error(`the guest does not answer:\n${this.console.slice(-40).join('\n')}`)
      }
    }
  }
}

/** Ports that are free now. */
async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer())
  const ports: number[] = []
  for (const server of servers) {
    await new Promise<void>((resolve) => server.listen(0, HERE, resolve))
    ports.push((server.address() as AddressInfo).port)
  }
  for (const server of servers) await new Promise((resolve) => server.close(resolve))
  return ports
}

function networkOf(ports: readonly number[]): string[] {
  const forwards = ports.map((host, index) => {
    const inside = index === 0 ? CONTROL_PORT : FIRST_PORT + index
    return `hostfwd=tcp:${HERE}:${host}-${GUEST}:${inside}`
  })
  return [
    ...['-netdev', ['user', 'id=net', ...forwards].join(',')],
    ...['-device', 'virtio-net-pci,netdev=net,romfile='],
    ...['-device', 'virtio-rng-pci'],
  ]
}

/** A machine and, when it says that it is up, true; false: it is gone before. */
function startMachine(
  image: Image,
  ports: readonly number[],
): { machine: Machine; up: Promise<boolean> } {
  let said = () => {}
  const ready = new Promise<boolean>((resolve) => (said = () => resolve(true)))
  const machine = new Machine({
    kernel: image.kernel,
    initrd: image.initrd,
    append: [`holdfast.control=${CONTROL_PORT}`, 'net.ifnames=0', 'random.trust_cpu=on'],
    machine: 'q35',
    memory: '768M',
    devices: networkOf(ports),
    patience: PATIENCE_MS,
    log: image.log,
    onLine: (line) => line === 'GUEST ready' && said(),
  })
  return { machine, up: Promise.race([ready, machine.ended.then(() => false)]) }
}

async function tryBoot(image: Image): Promise<Guest> {
  const ports = await freePorts(PORTS)
  const deadline = performance.now() + BOOT_MS
  const { machine, up } = startMachine(image, ports)
  const guest = new Guest(machine, ports)
  const timer = setTimeout(() => machine.kill(), BOOT_MS)
  try {
    if (await up) await guest.waitForControl(deadline)
    else throw new Error(`the guest did not boot:\n${machine.lines.slice(-40).join('\n')}`)
  } catch (error) {
    await guest.stop()
    throw error
  } finally {
    clearTimeout(timer)
  }
  return guest
}

/** Boots; again where another process took one of the ports in between. */
export async function bootGuest(image: Image): Promise<Guest> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await tryBoot(image)
    } catch (error) {
      if (attempt === ATTEMPTS || !/host forwarding/.test(String(error))) throw error
    }
  }
}
