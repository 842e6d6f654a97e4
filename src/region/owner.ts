/**
 * Who owns a region: a process, named so that it is never mistaken for a later one with its pid.
 *
 * A pid comes back; with the time at which the process started, in clock ticks since boot, and the
 * id of that boot it is unique. What cannot be read here is left empty, never made up.
 */
import { readFileSync } from 'node:fs'
import { hostname } from 'node:os'

export interface ProcessIdentity {
  readonly pid: number
  /** Clock ticks since boot (proc(5), stat field 22). */
  readonly startTime: number
  /** 16 bytes: /proc/sys/kernel/random/boot_id. */
  readonly bootId: Uint8Array
  readonly host: string
}

/** USER_HZ: the unit of field 22, 100 on every Linux there is. */
const TICKS_PER_SECOND = 100

let self: ProcessIdentity | undefined

/** This process. */
export function ownProcess(): ProcessIdentity {
  self ??= {
    pid: process.pid,
    startTime: startTimeOf(process.pid) ?? 0,
    bootId: bootId(),
    host: hostname(),
  }
  return self
}

/** When a process of this machine started, null when there is none with that pid. */
export function startTimeOf(pid: number): number | null {
  const stat = read(`/proc/${pid}/stat`)
  // The name, field 2, is in parentheses and may hold anything: count from the last one.
  const fields = stat?.slice(stat.lastIndexOf(')') + 2).split(' ')
  const ticks = Number(fields?.[22 - 3])
  return Number.isSafeInteger(ticks) ? ticks : null
}

export function bootId(): Uint8Array {
  const digits = read('/proc/sys/kernel/random/boot_id')?.trim().replaceAll('-', '') ?? ''
  const bytes = new Uint8Array(16)
  if (/^[0-9a-f]{32}$/.test(digits)) bytes.set(Buffer.from(digits, 'hex'))
  return bytes
}

/** Whether exactly this process runs, on this machine since this boot. */
export function isAlive(identity: ProcessIdentity): boolean {
  return (
    identity.pid > 0 &&
    Buffer.compare(identity.bootId, bootId()) === 0 &&
    startTimeOf(identity.pid) === identity.startTime
  )
}

/** A sentence's worth of a process: 'process 1234 (node) on host x since 2026-01-02T03:04:05Z'. */
export function describeProcess(identity: ProcessIdentity): string {
  const { pid, host, startTime } = identity
  if (!isAlive(identity)) return `process ${pid} on host ${host}`
  const name = read(`/proc/${pid}/comm`)?.trim() ?? '?'
  const boot = /^btime (\d+)$/m.exec(read('/proc/stat') ?? '')?.[1]
  const since =
    boot === undefined
      ? ''
      : ` since ${new Date((Number(boot) + startTime / TICKS_PER_SECOND) * 1000).toISOString().slice(0, 19)}Z`
  return `process ${pid} (${name}) on host ${host}${since}`
}

/** The same of one that is there now, by its number. */
export function describePid(pid: number): string {
  const name = read(`/proc/${pid}/comm`)?.trim()
  return name === undefined ? `process ${pid}` : `process ${pid} (${name})`
}

function read(path: string): string | null {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return null
  }
}
