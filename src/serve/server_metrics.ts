/**
 * What a server counts: its clients, what they hold, their calls, and what becomes of the region.
 *
 * Invariants:
 * - what happens often is counted in place and allocates nothing but at the first time of a verb,
 *   and of an error of it: there are as many as the protocol has;
 * - all else is asked for when somebody wants to know, in time that does not grow with what is
 *   held.
 */
import type { ErrorCode } from '../base/errors.js'
import type { VerbName } from '../control/verbs/index.js'
import type { HoldEvent } from '../layout/events.js'
import type { HeldClass } from '../layout/table.js'
import type { QueuePair } from '../rdma/index.js'
import type { ClientSession, SessionKind } from './client_session.js'
import type { Counter, Histogram, Registry } from './metrics.js'
import type { Server } from './server.js'

/** Seconds. */
const BOUNDS = [1e-5, 3e-5, 1e-4, 3e-4, 1e-3, 3e-3, 0.01, 0.03, 0.1, 1, 10]
const MILLISECONDS = 1000

const SESSION_KINDS: readonly SessionKind[] = ['local', 'mapping', 'remote']
const HELD_CLASSES: readonly HeldClass[] = ['pin', 'seal', 'readLease', 'rwLease']
/** As holds are called elsewhere, with what a lease is for. */
const KIND_LABELS: Readonly<Record<HeldClass, string>> = {
  pin: 'pin',
  seal: 'seal',
  readLease: 'lease_read',
  rwLease: 'lease_write',
}
const EVENTS = ['recall', 'fence', 'refuse', 'defer'] as const

interface VerbMetrics {
  readonly running: Histogram
  readonly total: Histogram
  readonly errors: Map<ErrorCode, Counter>
}

export class ServerMetrics {
  readonly #server: Server
  readonly #verbs = new Map<VerbName, VerbMetrics>()
  readonly #events = new Map<HoldEvent['kind'], Counter>()
  readonly #refused: Counter
  /** What ended data connections have sent and received. */
  #sent = 0
  #received = 0

  constructor(server: Server) {
    this.#server = server
    const { registry } = server
    for (const kind of EVENTS) {
      const help = 'Recalls, fences, refusals and deferrals for the sake of holds.'
      this.#events.set(kind, registry.counter('holdfast_hold_events_total', help, { kind }))
    }
    this.#refused = registry.counter(
      'holdfast_connections_refused_total',
      'Connections that were not taken: too many, no key, no session.',
    )
    this.#clients(registry)
    this.#volume(registry)
    this.#region(registry)
  }

  // ---- what is counted in place ----------------------------------------------------------------

  /** A call was answered; times in milliseconds. */
  answered(verb: VerbName, running: number, total: number, error: ErrorCode | null): void {
    const metrics = this.#verbs.get(verb) ?? this.#verb(verb)
    metrics.running.observe(running / MILLISECONDS)
    metrics.total.observe(total / MILLISECONDS)
    if (error === null) return
    ;(metrics.errors.get(error) ?? this.#error(verb, metrics, error)).add(1)
  }

  holding(kind: HoldEvent['kind']): void {
    this.#events.get(kind)?.add(1)
  }

  refused(): void {
    this.#refused.add(1)
  }

  /** A data connection has ended. */
  left({ counters }: QueuePair): void {
    this.#sent += counters.sentBytes
    this.#received += counters.receivedBytes
  }

  #verb(verb: VerbName): VerbMetrics {
    const { registry } = this.#server
    const metrics: VerbMetrics = {
      running: registry.histogram(
        'holdfast_call_running_seconds',
        'The time that calls have the event loop for themselves, at their beginning.',
        BOUNDS,
        { verb },
      ),
      total: registry.histogram(
        'holdfast_call_seconds',
        'The time from a call to its answer, with what it waited for.',
        BOUNDS,
        { verb },
      ),
      errors: new Map(),
    }
    this.#verbs.set(verb, metrics)
    return metrics
  }

  #error(verb: VerbName, { errors }: VerbMetrics, code: ErrorCode): Counter {
    const help = 'Calls that failed, by verb and error.'
    const { registry } = this.#server
    const counter = registry.counter('holdfast_call_errors_total', help, { verb, code })
    errors.set(code, counter)
    return counter
  }

  // ---- what is asked for -----------------------------------------------------------------------

  #clients(registry: Registry): void {
    const { sessions } = this.#server
    const sum = (count: (session: ClientSession) => number) => {
      let all = 0
      for (const session of sessions.values()) all += count(session)
      return all
    }
    for (const kind of SESSION_KINDS) {
      const ask = () => sum((session) => (session.kind === kind ? 1 : 0))
      registry.asked('holdfast_sessions', 'Sessions of clients.', ask, { kind })
    }
    const connections = () => this.#server.connections
    registry.asked('holdfast_connections', 'Control connections that are open.', connections)
    const registrations = () => sum((session) => session.registrations.size)
    registry.asked('holdfast_registrations', 'STags that remote clients have.', registrations)
    const data = () => sum((session) => session.dataConnections.size)
    registry.asked('holdfast_data_connections', 'RDMA connections that carry data.', data)
    const moved = (which: 'sentBytes' | 'receivedBytes') =>
      sum(({ dataConnections }) => {
        let bytes = 0
        for (const { counters } of dataConnections) bytes += counters[which]
        return bytes
      })
    registry.asked(
      'holdfast_data_sent_bytes_total',
      'What remote clients have read one-sided, with headers.',
      () => this.#sent + moved('sentBytes'),
    )
    registry.asked(
      'holdfast_data_received_bytes_total',
      'What remote clients have written one-sided, with headers.',
      () => this.#received + moved('receivedBytes'),
    )
  }

  #volume(registry: Registry): void {
    const { volume } = this.#server.files
    const open = (ask: () => number) => () => (volume.closed ? NaN : ask())
    for (const held of HELD_CLASSES) {
      const ask = open(() => volume.holding.table.count(held))
      registry.asked('holdfast_holds', 'Holds on files.', ask, { kind: KIND_LABELS[held] })
    }
    const limbo = open(() => volume.core.limbo.blocks)
    registry.asked('holdfast_limbo_blocks', 'Blocks of no file that are held still.', limbo)
    const grace = open(() => (volume.inGrace ? 1 : 0))
    registry.asked('holdfast_grace_period', '1 while holders from before are waited for.', grace)
    const bytes = open(() => volume.region.byteLength)
    registry.asked('holdfast_region_bytes', 'Bytes of the region.', bytes)
    const free = open(() => {
      const { blockSize, blocksAvailable } = volume.statfs()
      return blockSize * blocksAvailable
    })
    registry.asked('holdfast_free_bytes', 'Space for new blocks.', free)
    const files = open(() => volume.statfs().files)
    registry.asked('holdfast_inodes', 'Files, directories and all else that has an inode.', files)
  }

  #region(registry: Registry): void {
    const { counters } = this.#server.files.volume.region
    const lines = () => counters.linesFlushed
    registry.asked('holdfast_region_lines_flushed_total', 'Cache lines written back.', lines)
    const fences = () => counters.fences
    registry.asked('holdfast_region_fences_total', 'Fences after stores.', fences)
    const stored = () => counters.bytesStored
    registry.asked('holdfast_region_stored_bytes_total', 'Bytes stored by the server.', stored)
    const syncs = () => counters.syncs
    registry.asked('holdfast_region_syncs_total', 'Calls of msync or fdatasync.', syncs)
  }
}
