/**
 * Cleans up after the demo, however that ends: node janitor.js DIRECTORY
 *
 * It is told the processes of the demo, a line each (`+PID`, `-PID`). When nobody tells it anything
 * any more, the demo is over, or was killed: it kills what is left of them and takes the directory
 * away.
 */
import { rmSync } from 'node:fs'
import { createInterface } from 'node:readline'

const [directory] = process.argv.slice(2) as [string]
const processes = new Set<number>()

createInterface({ input: process.stdin })
  .on('line', (line) => {
    if (line.startsWith('+')) processes.add(Number(line.slice(1)))
    else processes.delete(Number(line.slice(1)))
  })
  .on('close', () => {
    for (const pid of processes) {
      try {
        process.kill(pid, 'SIGKILL')
      } catch {
        // It has ended by itself.
      }
    }
    rmSync(directory, { recursive: true, force: true })
  })
