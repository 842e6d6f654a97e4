/**
 * What a test may need of the machine, and whether it is there. A skip names its need in its
 * reason; a skip whose need is met is a failure, and so is one that names no need of this table:
 * else a suite could fall silent on a machine that was set up to run it.
 */
import { spawnSync } from 'node:child_process'
import { accessSync, constants, readFileSync, statfsSync } from 'node:fs'
import { networkInterfaces, release, tmpdir } from 'node:os'
import { NETWORK_NEEDS } from './network_needs.js'
import { PROGRAM_NEEDS } from './program_needs.js'

export interface Need {
  /** Found in the reason of a skip. */
  readonly pattern: RegExp
  readonly name: string
  met(): boolean
}

function runs(command: string, ...args: string[]): boolean {
  return spawnSync(command, args, { stdio: 'ignore' }).status === 0
}

function usable(path: string): boolean {
  try {
    accessSync(path, constants.R_OK | constants.W_OK)
    return true
  } catch {
    return false
  }
}

function hasLibrary(name: string): boolean {
  const found = spawnSync(process.env['CC'] ?? 'cc', [`-print-file-name=${name}`], {
    encoding: 'utf8',
  })
  return found.status === 0 && found.stdout.trim().startsWith('/')
}

function hasIpv6(): boolean {
  return Object.values(networkInterfaces()).some((all) => all?.some((one) => one.address === '::1'))
}

function hugePagesFree(): boolean {
  const found = /^HugePages_Free:\s+(\d+)/m.exec(readFileSync('/proc/meminfo', 'utf8'))
  return found !== null && Number(found[1]) > 0
}

function hasRoom(): boolean {
  const { bavail, bsize } = statfsSync(tmpdir())
  return bavail * bsize > 20 * 2 ** 30
}

function kernelIsAtLeast(major: number, minor: number): boolean {
  const [a = 0, b = 0] = release().split('.').map(Number)
  return a > major || (a === major && b >= minor)
}

export const NEEDS: readonly Need[] = [
  { name: 'root', pattern: /\broot\b/, met: () => process.getuid?.() === 0 },
  { name: 'loop devices', pattern: /loop devices/, met: () => usable('/dev/loop-control') },
  { name: '/dev/fuse', pattern: /\/dev\/fuse/, met: () => usable('/dev/fuse') },
  { name: '/dev/shm', pattern: /\/dev\/shm/, met: () => usable('/dev/shm') },
  { name: 'IPv6', pattern: /IPv6/, met: hasIpv6 },
  { name: 'huge pages', pattern: /huge ?(pages|tlb)/i, met: hugePagesFree },
  {
    name: 'the cross compiler',
    pattern: /aarch64-linux-gnu-gcc/,
    met: () => runs('aarch64-linux-gnu-gcc', '--version'),
  },
  {
    name: 'a C compiler',
    pattern: /no C compiler/,
    met: () => runs(process.env['CC'] ?? 'cc', '--version'),
  },
  { name: 'libasan', pattern: /libasan/, met: () => hasLibrary('libasan.so') },
  {
    name: 'qemu',
    pattern: /qemu/,
    met: () => runs('qemu-system-x86_64', '--version') || runs('qemu-system-aarch64', '--version'),
  },
  { name: 'mkfs.ext4', pattern: /mkfs\.ext4/, met: () => runs('mkfs.ext4', '-V') },
  { name: 'tshark', pattern: /tshark/, met: () => runs('tshark', '--version') },
  { name: 'groff', pattern: /groff/, met: () => runs('groff', '--version') },
  { name: 'zsh', pattern: /\bzsh\b/, met: () => runs('zsh', '--version') },
  { name: 'fish', pattern: /\bfish\b/, met: () => runs('fish', '--version') },
  {
    name: 'a mount namespace',
    pattern: /mount namespace/,
    met: () => runs('unshare', '-m', 'true'),
  },
  { name: 'Linux 6.6', pattern: /Linux 6\.6/, met: () => kernelIsAtLeast(6, 6) },
  {
    name: 'ArrayBuffer.prototype.transfer',
    pattern: /ArrayBuffer\.prototype\.transfer/,
    met: () => 'transfer' in ArrayBuffer.prototype,
  },
  {
    name: 'the long run',
    pattern: /\bthe long run\b/,
    met: () => process.env['HOLDFAST_LONG'] !== undefined,
  },
  { name: 'a disk with 20 GiB free', pattern: /20 GiB free/, met: hasRoom },
  { name: 'arm64', pattern: /\barm64\b/, met: () => process.arch === 'arm64' },
  { name: 'x64', pattern: /\bx64\b/, met: () => process.arch === 'x64' },
  ...[...NETWORK_NEEDS, ...PROGRAM_NEEDS].map(({ lack, met }) => {
    const literal = lack.replace(/[().+]/g, '\\$&')
    return { name: lack.slice('no '.length), pattern: new RegExp(`^${literal}$`), met }
  }),
]

/** Why a skip with this reason is a failure, or null when it may be skipped. */
export function unjustified(reason: string, needs: readonly Need[] = NEEDS): string | null {
  const named = needs.filter((need) => need.pattern.test(reason))
  if (named.length === 0) return 'the reason names no need of scripts/test_needs.ts'
  if (named.some((need) => !need.met())) return null
  return `skipped, though ${named.map((need) => need.name).join(' and ')} is here`
}
