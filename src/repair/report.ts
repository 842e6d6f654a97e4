/** What a repair did, for programs and for people. */
import { formatReport } from '../check/report.js'
import type { Fix } from './fixes.js'
import type { RepairReport } from './repairer.js'

/** As e2fsck(8) has it: 0 clean, 1 errors corrected, 4 errors left, 8 operational error. */
export function repairExitCode(report: RepairReport): 0 | 1 | 4 | 8 {
  return ({ clean: 0, repaired: 1, errors: 4, unreadable: 8 } as const)[report.state]
}

/** A line for each fix and for what is left, then what fsck finds now. */
export function formatRepair(report: RepairReport): string {
  const line = (what: string) => (fix: Fix) => `${what}: ${fix.code}: ${fix.message}`
  const lines = report.fixes.map(line('fixed'))
  const more = report.fixesTotal - report.fixes.length
  if (more > 0) lines.push(`... and ${more} more`)
  lines.push(...report.left.map(line('left')))
  const repaired = report.state === 'repaired' ? 'repaired: ' : ''
  return `${lines.map((text) => `${text}\n`).join('')}${repaired}${formatReport(report.after)}`
}

/** The report as JSON: the same fields, and the exit code. */
export function repairJson(report: RepairReport): string {
  return JSON.stringify({ ...report, exitCode: repairExitCode(report) }, null, 2)
}
