/**
 * Hosts on a network of their own: a network namespace each, with a cable (a pair of veth) to a
 * switch (a bridge, in one more namespace). Nothing of it is on this machine's own network.
 *
 *     host a: eth0 ──── port-a ┐
 *                              ├ hub        cables are pulled at the switch; loss, deafness and
 *     host b: eth0 ──── port-b ┘            rate are the host's own
 *
 * Invariants:
 * - a namespace is held by a process that ends with the test, however that ends; the kernel then
 *   takes away what is in it;
 * - a host that vanishes says nothing to anybody: its cable is pulled before its processes die;
 * - a host that starts again has the addresses that it had, and knows of no connection.
 */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { readdirSync, readlinkSync } from 'node:fs'
import { promisify } from 'node:util'
import { until, type Place, type Program, type Programs } from '../processes/program.js'

const execute = promisify(execFile)
const PATH = `${process.env['PATH'] ?? ''}:/usr/sbin:/sbin`
/** Segments go over a cable one by one, as over a real one, and are lost one by one. */
const ONE_BY_ONE = 'gso_max_segs 1'

/** A network namespace, and who holds it. */
class Namespace implements Place {
  readonly holder: Program

  private constructor(holder: Program) {
    this.holder = holder
  }

  static async make(programs: Programs, name: string): Promise<Namespace> {
    // Longer than any test; what the test starts is bounded by itself.
    const holder = programs.start(`namespace ${name}`, ['unshare', '--net', 'cat'], {
      seconds: 3600,
    })
    holder.write('here')
    assert.equal(await holder.line(), 'here')
    return new Namespace(holder)
  }

  get enter(): readonly string[] {
    return ['nsenter', `--net=/proc/${this.holder.pid}/ns/net`]
  }

  async run(...command: readonly string[]): Promise<string> {
    const [file, ...args] = [...this.enter, ...command]
    const env = { ...process.env, PATH }
    return (await execute(file!, args, { env, timeout: 20_000 })).stdout
  }

  /** Lines of the shell, up to the first that fails. */
  sh(...lines: readonly string[]): Promise<string> {
    return this.run('sh', '-ec', lines.join('\n'))
  }

  /** All processes in it, those that were not started by the test as well. */
  pids(): number[] {
    const own = readlinkSync(`/proc/${this.holder.pid}/ns/net`)
    return readdirSync('/proc')
      .filter((name) => /^\d+$/.test(name))
      .filter((name) => namespaceOf(name) === own)
      .map(Number)
  }
}

/** The name of the network namespace of a process; "" when there is none. */
export function namespaceOf(pid: string): string {
  try {
    return readlinkSync(`/proc/${pid}/ns/net`)
  } catch {
    return ''
  }
}

export class Host implements Place {
  readonly name: string
  readonly ipv4: string
  readonly ipv6: string
  readonly #network: Network
  readonly #number: number
  #namespace: Namespace | null = null

  constructor(network: Network, name: string, number: number) {
    this.#network = network
    this.name = name
    this.#number = number
    this.ipv4 = `10.77.0.${number}`
    this.ipv6 = `fd77::${number}`
  }

  get namespace(): Namespace {
    assert.ok(this.#namespace !== null, `host ${this.name} is not there`)
    return this.#namespace
  }

  get enter(): readonly string[] {
    return this.namespace.enter
  }

  /** Runs a command to its end; what it printed. */
  run(...command: readonly string[]): Promise<string> {
    return this.namespace.run(...command)
  }

  /** It is switched on: a namespace with a cable to the switch. */
  async start(): Promise<void> {
    const made = await Namespace.make(this.#network.programs, this.name)
    const address = `02:00:00:00:00:${String(this.#number).padStart(2, '0')}`
    const peer = `peer name eth0 address ${address} netns ${made.holder.pid} ${ONE_BY_ONE}`
    const port = this.#port
    await this.#network.wires.sh(
      `ip link add ${port} ${ONE_BY_ONE} type veth ${peer}`,
      `ip link set ${port} master hub`,
    )
    await made.sh(
      'ip link set lo up',
      `ip address add ${this.ipv4}/24 dev eth0`,
      `ip address add ${this.ipv6}/64 dev eth0 nodad`,
      'ip link set eth0 up',
    )
    this.#namespace = made
    await this.plug()
  }

  /** Its power is gone: nothing that it ran says good-bye. */
  async vanish(): Promise<void> {
    const { namespace } = this
    await this.unplug()
    for (const pid of namespace.pids()) this.#network.programs.kill(pid)
    await namespace.holder.ended()
    this.#namespace = null
    // The kernel takes the cable with the namespace, when it comes to it.
    await this.#network.wires.sh(`ip link delete ${this.#port} || true`)
  }

  /** Its cable is pulled. It, and the other hosts, learn nothing of it but silence. */
  async unplug(): Promise<void> {
    await this.#network.wires.sh(`ip link set ${this.#port} down`)
  }

  /** Its cable is back: when this resolves it carries. */
  async plug(): Promise<void> {
    await this.#network.wires.sh(`ip link set ${this.#port} up`)
    await until(async () => (await this.#link()).includes(' state UP '), `link of ${this.name}`)
    // Hosts remember for seconds whom they did not find.
    await Promise.all(this.#network.hosts.map((host) => host.forgetNeighbours()))
  }

  async forgetNeighbours(): Promise<void> {
    await this.#namespace?.sh('ip neighbour flush dev eth0')
  }

  #link(): Promise<string> {
    return this.namespace.run('ip', '-oneline', 'link', 'show', 'eth0')
  }

  /** Of the segments that come to it, this part is lost. */
  async lose(part: number): Promise<void> {
    await this.#drop(`-p tcp -m statistic --mode random --probability ${part} -j DROP`)
  }

  /** Nothing that is said to it is heard any more; what it says is. */
  async deafen(): Promise<void> {
    await this.#drop('-j DROP')
  }

  /** Segments that were lost on the way to it, since the fault began. */
  async lost(): Promise<number> {
    const list = '-w -nvxL INPUT'
    const text = await this.namespace.sh(`iptables ${list}`, `ip6tables ${list}`)
    const counts = [...text.matchAll(/^\s*(\d+)\s+\d+\s+DROP\b/gm)]
    return counts.reduce((sum, [, count]) => sum + Number(count), 0)
  }

  /** What it sends goes over its cable with so many bits in a second. */
  async slow(bitsPerSecond: number): Promise<void> {
    const rate = `rate ${bitsPerSecond}bit burst 32kb latency 100ms`
    await this.namespace.sh(`tc qdisc replace dev eth0 root tbf ${rate}`)
  }

  /** Ends loss, deafness and slowness. */
  async heal(): Promise<void> {
    await this.namespace.sh(
      'iptables -w -F INPUT',
      'ip6tables -w -F INPUT',
      'tc qdisc delete dev eth0 root 2>/dev/null || true',
    )
  }

  get #port(): string {
    return `port-${this.#number}`
  }

  async #drop(rule: string): Promise<void> {
    await this.namespace.sh(
      ...['iptables', 'ip6tables'].map((command) => `${command} -w -A INPUT ! -i lo ${rule}`),
    )
  }
}

export class Network {
  readonly programs: Programs
  /** Where the switch is. */
  readonly wires: Namespace
  readonly hosts: readonly Host[]

  private constructor(programs: Programs, wires: Namespace, count: number) {
    this.programs = programs
    this.wires = wires
    this.hosts = Array.from({ length: count }, (_, i) => {
      return new Host(this, String.fromCharCode(0x61 + i), i + 1)
    })
  }

  /** So many hosts, switched on, each of which reaches the others. */
  static async make(programs: Programs, count: number): Promise<Network> {
    const network = new Network(programs, await Namespace.make(programs, 'of the switch'), count)
    await network.wires.sh('ip link add hub type bridge mcast_snooping 0', 'ip link set hub up')
    await Promise.all(network.hosts.map((host) => host.start()))
    return network
  }
}

/** Two hosts. */
export async function twoHosts(programs: Programs): Promise<[Host, Host]> {
  const { hosts } = await Network.make(programs, 2)
  return [hosts[0]!, hosts[1]!]
}
