/**
 * The persistent memory of the guest: one NVDIMM, cut into a namespace for device-DAX and one for
 * each filesystem with DAX. The first boot makes them; their labels are on the NVDIMM itself.
 */
import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

const MIB = 1 << 20

export type DaxFilesystem = 'ext4' | 'xfs'
export const DAX_FILESYSTEMS: readonly DaxFilesystem[] = ['ext4', 'xfs']

/** MiB of each, in units of 16; mkfs.xfs makes nothing smaller than 300 MiB. */
const SIZES = { dax: 128, ext4: 192, xfs: 336 }

/** Longer than a guest lives. */
const LONG_SECONDS = 3600

interface Namespace {
  readonly name: string
  readonly blockdev?: string
  readonly chardev?: string
}

export interface PersistentMemory {
  /** The device-DAX node. */
  readonly dax: string
  /** The block device of each filesystem. */
  readonly devices: Readonly<Record<DaxFilesystem, string>>
}

function command(name: string, ...args: string[]): string {
  return execFileSync(name, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] })
}

function listNamespaces(): Namespace[] {
  const text = command('ndctl', 'list', '--namespaces')
  return text.trim() === '' ? [] : (JSON.parse(text) as Namespace[])
}

function makeNamespace(name: keyof typeof SIZES): void {
  const mode = name === 'dax' ? 'devdax' : 'fsdax'
  const size = String(SIZES[name] * MIB)
  const options = ['--mode', mode, '--size', size, '--name', name, '--region', 'region0']
  command('ndctl', 'create-namespace', ...options)
}

/** Finds the namespaces; on a new NVDIMM makes them. */
export function persistentMemory(): PersistentMemory {
  if (!listNamespaces().some(({ name }) => name === 'xfs')) {
    command('ndctl', 'disable-region', 'all')
    command('ndctl', 'init-labels', '--force', 'nmem0')
    command('ndctl', 'enable-region', 'all')
    for (const name of ['dax', 'ext4', 'xfs'] as const) makeNamespace(name)
  }
  const found = new Map(listNamespaces().map((namespace) => [namespace.name, namespace]))
  writeFileSync('/proc/sys/fs/xfs/xfssyncd_centisecs', String(LONG_SECONDS * 100))
  return {
    dax: `/dev/${found.get('dax')!.chardev!}`,
    devices: {
      ext4: `/dev/${found.get('ext4')!.blockdev!}`,
      xfs: `/dev/${found.get('xfs')!.blockdev!}`,
    },
  }
}

export function makeFilesystem(memory: PersistentMemory, type: DaxFilesystem): void {
  const device = memory.devices[type]
  if (type === 'ext4') command('mkfs.ext4', '-q', '-F', '-b', '4096', device)
  // Files that share blocks and DAX do not go together on every kernel.
  else command('mkfs.xfs', '-q', '-f', '-m', 'reflink=0', device)
}

/**
 * Mounts with DAX (or without); returns where. The journal is written when something asks for it,
 * not by the clock: what nobody asked for is lost for certain when the power goes.
 */
export function mountFilesystem(
  memory: PersistentMemory,
  type: DaxFilesystem,
  dax: 'always' | 'never' = 'always',
): string {
  const directory = join('/mnt', type)
  if (!existsSync(directory)) mkdirSync(directory)
  const options = type === 'ext4' ? `dax=${dax},commit=${LONG_SECONDS}` : `dax=${dax}`
  command('mount', '-t', type, '-o', options, memory.devices[type], directory)
  return directory
}

export function unmountFilesystem(type: DaxFilesystem): void {
  command('umount', join('/mnt', type))
}
