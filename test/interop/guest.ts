/**
 * The guest while it runs, behind qemu's user network: a shell for each connection to its control
 * port, ports of this machine that lead to ports of the guest, and the settings of its siw.
 *
 * Invariants:
 * - every command in the guest ends, by itself or with its connection or killed at its time;
 * - ports of the guest are given out in turn: nobody meets what another listener has just left.
 */
import { createServer, connect as connectTo, type AddressInfo, type Socket } from 'node:net'
import { Machine } from '../machine/qemu.js'
import type { Image } from './image.js'
import { GuestProgram } from './program.js'
import { SETTINGS } from './siw.js'

/** How the guest names this machine. */
export const HOST = '10.0.2.2'
/** Where this machine finds what the guest listens at. */
export const HERE = '127.0.0.1'
const GUEST = '10.0.2.15'
const CONTROL_PORT = 7000
const FIRST_PORT = 7174
const PORTS = 48
const BOOT_MS = 600_000
/** The whole life of a guest, emulated on a machine with other work. */
const PATIENCE_MS = 5_400_000
const ATTEMPTS = 3
const COMMAND_SECONDS = 300
const LISTEN_MS = 120_000

export interface ListeningPort {
  /** To be listened at in the guest. */
  readonly guest: number
  /** On this machine. */
  readonly host: number
}

/** Those of siw (SETTINGS). */
interface Settings {
  readonly crc?: boolean
  readonly peerToPeer?: boolean
  readonly rtr?: number
  readonly trailers?: boolean
}

export class Guest {
  readonly #machine: Machine
  readonly #ports: readonly number[]
  #given = 0

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

  /** Another port than the last: each has its turn. */
  newPort(): ListeningPort {
    const index = 1 + (this.#given++ % (PORTS - 1))
    return { guest: FIRST_PORT + index, host: this.#ports[index]! }
  }

  /** Waits until a program of the guest listens at a port. */
  async listens(port: ListeningPort): Promise<void> {
    const end = performance.now() + LISTEN_MS
    // siw listens by a socket of the kernel, which is in no table of a process.
    const state = port.guest.toString(16).toUpperCase().padStart(4, '0')
    const command = `busybox grep -c ":${state} 00000000:0000 0A" /proc/net/tcp`
    while ((await (await this.start(command)).ended) !== 0) {
      if (performance.now() > end) throw new Error(`nobody listens at ${port.guest} of the guest`)
    }
  }

  /** How siw behaves towards connections from now on. */
  async configure(settings: Settings): Promise<void> {
    const set = { crc: false, peerToPeer: false, rtr: 0xc000, trailers: true, ...settings }
    for (const key of ['crc', 'peerToPeer', 'rtr', 'trailers'] as const) {
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
