/** Moving blocks: a line of progress, and stopping between two steps. */
import type { MoveOptions } from '../base/layout.js'
import { untilStopped } from './interrupt.js'
import { formatProgress, ProgressLine } from './output.js'

/** `what` is shown with the bytes moved so far, of `total` (0: nobody knows). */
export async function moving<T>(
  what: string,
  total: number,
  run: (options: MoveOptions) => Promise<T>,
): Promise<T> {
  const progress = new ProgressLine()
  const onProgress = (moved: number) =>
    progress.show((seconds) => `${what}: ${formatProgress(moved, total, seconds)}`)
  try {
    return await untilStopped((signal) => run({ signal, onProgress }))
  } finally {
    progress.clear()
  }
}
