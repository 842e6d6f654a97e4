/** What a check found, for programs and for people. */
import type { Finding } from './codes.js'

export interface VolumeInfo {
  readonly uuid: string
  readonly label: string
  /** Blocks of 4096 bytes. */
  readonly blocks: number
  readonly mountEpoch: number
  /** The copy of the superblock that counts: 0 or 1. */
  readonly superblock: number
  /** An older second copy is what a crash may leave, and no error. */
  readonly otherCopy: 'same' | 'older' | 'damaged'
  /** Process that had the volume open and did not close it, 0 none. */
  readonly ownerPid: number
}

export interface Counts {
  files: number
  directories: number
  blocksUsed: number
  blocksFree: number
  extents: number
  /** Nodes of all trees. */
  nodes: number
  /** Directory entries. */
  names: number
}

export interface Report {
  /** 'unreadable': there is no volume to check, or the medium failed under the check. */
  readonly state: 'clean' | 'errors' | 'unreadable'
  /** Log records applied, in memory only. */
  readonly replayed: number
  /** The first 1000. */
  readonly findings: readonly Finding[]
  /** All of them. */
  readonly findingsTotal: number
  readonly counts: Readonly<Counts>
  readonly volume: VolumeInfo | null
}

/** As e2fsck(8) has it: 0 no errors, 4 errors left uncorrected, 8 operational error. */
export function exitCode(report: Report): 0 | 4 | 8 {
  return report.state === 'clean' ? 0 : report.state === 'errors' ? 4 : 8
}

/** One line for each finding, and a summary. */
export function formatReport(report: Report): string {
  const lines = report.findings.map((f) => `${f.code}: ${f.place}: ${f.message}`)
  const left = report.findingsTotal - report.findings.length
  if (left > 0) lines.push(`... and ${left} more`)
  lines.push(summary(report))
  return `${lines.join('\n')}\n`
}

function summary(report: Report): string {
  const { counts, volume, findingsTotal } = report
  const name = volume === null ? 'no volume' : volume.label || volume.uuid
  const verdict =
    report.state === 'clean'
      ? 'clean'
      : report.state === 'unreadable'
        ? 'could not be checked'
        : `${findingsTotal} ${findingsTotal === 1 ? 'error' : 'errors'}`
  if (volume === null) return `${name}: ${verdict}`
  const blocks = `${counts.blocksUsed}/${volume.blocks} blocks`
  const content = `${counts.files} files, ${counts.directories} directories, ${blocks}`
  const log = report.replayed > 0 ? `, ${report.replayed} log records to replay` : ''
  return `${name}: ${verdict}, ${content}${log}`
}

/** The report as JSON: the same fields, and the exit code. */
export function reportJson(report: Report): string {
  return JSON.stringify({ ...report, exitCode: exitCode(report) }, null, 2)
}
