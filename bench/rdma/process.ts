/**
 * The processes of `bench -- rdma`: started by it, asked until they answer, looked at in /proc,
 * ended by their number. None outlives the bench, however it ends. Each has a session of its own:
 * the kernel shares processors by session (autogroup), and a daemon may make itself one.
 */
import { spawn, spawnSync, type ChildProcess } from 'node:child_process'
import { closeSync, openSync, readFileSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { setTimeout } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'

const running = new Set<ChildProcess>()
const endAll = () => {
  for (const { pid } of running) {
    try {
      // Its group: a master's workers live on without it.
      if (pid !== undefined) process.kill(-pid, 'SIGKILL')
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
    }
  }
}
process.on('exit', endAll)
const SIGNALS = { SIGHUP: 1, SIGINT: 2, SIGTERM: 15 } as const
for (const [signal, number] of Object.entries(SIGNALS)) {
  process.once(signal, () => process.exit(128 + number))
}

function track(child: ChildProcess): ChildProcess {
  running.add(child)
  child.once('exit', () => running.delete(child))
  return child
}

const ANSWER_MILLISECONDS = 120_000

/** A process that answers each line with a line of JSON. */
export class Worker {
  readonly name: string
  readonly child: ChildProcess
  readonly #answers: AsyncIterator<string>

  constructor(name: string, command: string, args: readonly string[]) {
    this.name = name
    this.child = track(spawn(command, args, { stdio: ['pipe', 'pipe', 'inherit'], detached: true }))
    this.child.stdin!.on('error', () => {})
    this.#answers = createInterface({ input: this.child.stdout! })[Symbol.asyncIterator]()
  }

  /** A module of this directory, in a node of its own. */
  static node(module: string, job: unknown, options: readonly string[] = []): Worker {
    const script = fileURLToPath(new URL(module, import.meta.url))
    const name = `${module} ${JSON.stringify(job)}`
    return new Worker(name, process.execPath, [...options, script, JSON.stringify(job)])
  }

  get pid(): number {
    return this.child.pid!
  }

  async answer(): Promise<unknown> {
    const late = new AbortController()
    const silence = setTimeout(ANSWER_MILLISECONDS, null, { signal: late.signal }).catch(() => null)
    const found = await Promise.race([this.#answers.next(), silence])
    late.abort()
    if (found === null) throw new Error(`${this.name} says nothing for two minutes`)
    if (found.done === true) throw new Error(`${this.name} ended`)
    return JSON.parse(found.value) as unknown
  }

  async ask(line: string): Promise<unknown> {
    this.child.stdin!.write(`${line}\n`)
    return this.answer()
  }

  /** It ends when nothing more is asked. */
  async end(): Promise<void> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return
    const gone = once(this.child, 'exit')
    this.child.stdin!.end()
    await gone
  }
}

/** A server of somebody else's, in the foreground, its words in a file. */
export class Daemon {
  readonly child: ChildProcess
  readonly #log: string

  constructor(command: string, args: readonly string[], log: string) {
    this.#log = log
    const out = openSync(log, 'a')
    this.child = track(spawn(command, args, { stdio: ['ignore', out, out], detached: true }))
    closeSync(out)
    this.child.on('error', () => {})
  }

  /** Until something takes connections at the port. */
  async listening(port: number): Promise<void> {
    await this.until(async () => ((await takesConnections(port)) ? port : null))
  }

  /** Asks again and again, until there is an answer. */
  async until<T>(ask: () => Promise<T | null>): Promise<T> {
    const deadline = performance.now() + 30_000
    for (;;) {
      if (this.child.pid === undefined || this.child.exitCode !== null) this.#fail('ended')
      const answer = await ask()
      if (answer !== null) return answer
      if (performance.now() > deadline) this.#fail('is not ready after 30 s')
      await setTimeout(20)
    }
  }

  /** Its own and those of its children: a master and its workers. */
  pids(): number[] {
    const pid = this.child.pid!
    const tasks = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8')
    return [pid, ...tasks.split(' ').filter(Boolean).map(Number)]
  }

  /** By the end of `pid`, where its own end follows from that. */
  async end(pid = this.child.pid!, signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return
    const gone = once(this.child, 'exit')
    process.kill(pid, signal)
    await gone
  }

  #fail(what: string): never {
    const said = readFileSync(this.#log, 'utf8').trimEnd().split('\n').slice(-20).join('\n')
    throw new Error(`${this.child.spawnfile} ${what}:\n${said}`)
  }
}

function takesConnections(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1')
    const say = (answer: boolean) => {
      socket.destroy()
      resolve(answer)
    }
    socket.on('connect', () => say(true)).on('error', () => say(false))
  })
}

/** A port that was free a moment ago: for servers that do not say which they took. */
export async function freePort(): Promise<number> {
  const server = createServer()
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as { port: number }
  server.close()
  await once(server, 'close')
  return port
}

export const installed = (tool: string): boolean =>
  spawnSync('sh', ['-c', `command -v ${tool}`], { stdio: 'ignore' }).status === 0

/** Which processors the processes run on, all threads: '0', '0,1'. */
export function pin(pids: readonly number[], processors: string): void {
  for (const pid of pids) {
    const args = ['-a', '-c', '-p', processors, String(pid)]
    const { status } = spawnSync('taskset', args, { stdio: 'ignore' })
    if (status !== 0) throw new Error(`taskset ${args.join(' ')} has failed`)
  }
}

const TICKS_PER_SECOND = 100

/** Seconds of processor, user and system, all threads. */
export function processorSeconds(pids: readonly number[]): number {
  let ticks = 0
  for (const pid of pids) {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8')
    // The name, in brackets, may have spaces; utime and stime are fields 14 and 15.
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
    ticks += Number(fields[11]) + Number(fields[12])
  }
  return ticks / TICKS_PER_SECOND
}

/** Seconds that all processors were busy with programs, whoever's. */
export function busySeconds(): number {
  const [user, nice, system] = readFileSync('/proc/stat', 'utf8')
    .split('\n')[0]!
    .slice('cpu'.length)
    .trim()
    .split(' ')
    .map(Number)
  return (user! + nice! + system!) / TICKS_PER_SECOND
}

/** The most memory that was resident at a time, bytes. */
export function peakMemory(pids: readonly number[]): number {
  let bytes = 0
  for (const pid of pids) {
    const status = readFileSync(`/proc/${pid}/status`, 'utf8')
    bytes += Number(/^VmHWM:\s+(\d+) kB$/m.exec(status)![1]) * 1024
  }
  return bytes
}
