/** What the kernel says of this process and of where a file is: limits, mounts, huge pages. */
import { readFileSync, realpathSync } from 'node:fs'

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}

const CAP_IPC_LOCK = 14n

/** RLIMIT_MEMLOCK of this process (getrlimit(2)), and whether it counts for it at all. */
export function memlockLimit(): { readonly bytes: number; readonly exempt: boolean } {
  const soft = /^Max locked memory\s+(\S+)/m.exec(read('/proc/self/limits'))?.[1] ?? 'unlimited'
  const capabilities = /^CapEff:\s*([0-9a-f]+)$/m.exec(read('/proc/self/status'))?.[1] ?? '0'
  return {
    bytes: soft === 'unlimited' ? Infinity : Number(soft),
    exempt: ((BigInt(`0x${capabilities}`) >> CAP_IPC_LOCK) & 1n) === 1n,
  }
}

/** The mount that a file is in, and its options (proc(5), mountinfo). */
export function mountOf(path: string): { readonly point: string; readonly options: string } {
  const real = realpathSync(path)
  let best = { point: '/', options: '' }
  for (const line of read('/proc/self/mountinfo').split('\n')) {
    const [before = '', after = ''] = line.split(' - ')
    const point = (before.split(' ')[4] ?? '').replace(/\\([0-7]{3})/g, (_, digits: string) =>
      String.fromCharCode(Number.parseInt(digits, 8)),
    )
    if (point === '' || !`${real}/`.startsWith(point === '/' ? '/' : `${point}/`)) continue
    // The last one that is mounted there is on top.
    if (point.length >= best.point.length) best = { point, options: after.split(' ')[2] ?? '' }
  }
  return best
}

/** Bytes of this process's mappings of a file that stand in huge pages (proc(5), smaps). */
export function hugeBytes(path: string): number {
  const real = realpathSync(path)
  let inside = false
  let kib = 0
  for (const line of read('/proc/self/smaps').split('\n')) {
    if (/^[0-9a-f]+-[0-9a-f]+ /.test(line)) inside = line.endsWith(` ${real}`)
    else if (inside) kib += Number(/^(?:Shmem|File)PmdMapped:\s+(\d+) kB/.exec(line)?.[1] ?? 0)
  }
  return kib * 1024
}

/** 'never', 'advise', …: what is chosen for shared memory. */
export function transparentHugePages(): string {
  const text = read('/sys/kernel/mm/transparent_hugepage/shmem_enabled')
  return /\[(\w+)\]/.exec(text)?.[1] ?? 'nothing'
}

export function holdsSwap(): boolean {
  return read('/proc/swaps').trim().split('\n').length > 1
}

/** A text as one word of a shell. */
export function shellWord(text: string): string {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`
}
