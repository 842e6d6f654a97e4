/**
 * What the golden images hold: volumes of format version 1 with at least one of everything, made
 * from a seed, and what each of their files must read as for ever.
 */
import { createHash } from 'node:crypto'
import { seededEntropy, SteppedClock, type Clock } from '../../src/base/clock.js'
import { Mode } from '../../src/base/mode.js'
import { parseAcl } from '../../src/base/acl_text.js'
import { encodeAcl } from '../../src/base/posix_acl.js'
import { Prng } from '../../src/base/prng.js'
import { TracedRegion } from '../../src/region/traced_region.js'
import { formatVolume } from '../../src/volume/format.js'
import { Volume } from '../../src/volume/volume.js'

const REGION_BYTES = 2 * 1024 * 1024
const O_TMPFILE_RDWR = 0o20200002

/** `clean`: unmounted. `cut`: as a power cut left it, with a log, orphans and work half done. */
export const IMAGES = ['clean', 'cut'] as const
export type ImageName = (typeof IMAGES)[number]

/** The time at which images are looked at: what a mount finishes has this time. */
export const STOPPED: Clock = { seconds: 2_000_000_000, nanoseconds: 0, read: () => {} }

export function makeImage(name: ImageName): Uint8Array {
  const region = new TracedRegion(REGION_BYTES)
  formatVolume(region, {
    label: `golden ${name}`,
    entropy: seededEntropy(1),
    clock: new SteppedClock(),
  })
  const volume = Volume.mount(region, { entropy: seededEntropy(2), clock: new SteppedClock() })
  fill(volume)
  if (name === 'clean') volume.close()
  else cutDuringCollapse(volume)
  const bytes = region.u8.slice()
  region.close()
  return bytes
}

function fill(volume: Volume): void {
  const prng = new Prng(3)
  const bytes = (length: number) => {
    const content = new Uint8Array(length)
    prng.fill(content)
    return content
  }
  volume.mkdir('/directory')
  volume.chown('/directory', 1000, 100)
  volume.chmod('/directory', 0o2750)
  volume.mkdir('/many')
  for (let i = 0; i < 300; i++) volume.mknod(`/many/${'n'.repeat(i % 250)}${i}`, 0o100600)
  volume.writeFile('/empty', bytes(0))
  volume.writeFile('/inline', bytes(20_000), 0o4755)
  const pieces = volume.open('/pieces', 'w')
  for (let i = 0; i < 40; i++) pieces.write(bytes(100), i * 2 * 4096)
  pieces.allocate(100 * 4096, 8192, { keepSize: true })
  pieces.close()
  volume.writeFile(new Uint8Array([0x2f, 0xff, 0xfe, 0x0a]), bytes(5))
  volume.link('/inline', '/directory/second name')
  volume.symlink('directory/second name', '/short')
  volume.symlink('x/'.repeat(700), '/long')
  volume.mknod('/fifo', Mode.fifo | 0o644)
  volume.mknod('/socket', Mode.socket | 0o600)
  volume.mknod('/character', Mode.character | 0o620, (5 << 20) | 1)
  volume.mknod('/block', Mode.block | 0o660, (259 << 20) | 70_000)
  volume.chown('/inline', 4_000_000_000, 17)
  volume.utimes(
    '/empty',
    { seconds: -5, nanoseconds: 999_999_999 },
    { seconds: 2 ** 33 - 1, nanoseconds: 1 },
  )
  volume.setXattr('/inline', 'user.small', bytes(10))
  volume.setXattr('/inline', 'user.empty', bytes(0))
  volume.setXattr('/inline', 'user.slab', bytes(512))
  volume.setXattr('/inline', 'security.chain', bytes(60_000))
  const acl = (text: string) => encodeAcl(parseAcl(text).access)
  volume.setXattr('/inline', 'system.posix_acl_access', acl('u::rwx,u:7:rw-,g::r-x,m::rwx,o::r--'))
  volume.setXattr(
    '/directory',
    'system.posix_acl_default',
    acl('u::rwx,g:9:--x,g::r-x,m::r-x,o::---'),
  )
  volume.writeFile('/directory/inherits', bytes(1))
  volume.setInodeFlags('/empty', { immutable: true })
  volume.setInodeFlags('/pieces', { append: true })
  volume.markBad(volume.core.geometry.blockCount - 3)
}

/** An open file without a name, and a collapse of which a part is in the log. */
function cutDuringCollapse(volume: Volume): void {
  volume.core.transaction.checkpoint()
  const unnamed = volume.open('/', O_TMPFILE_RDWR)
  unnamed.write(new Uint8Array(50_000).fill(1))
  const open = volume.open('/halfway', 'w')
  for (let i = 0; i < 60; i++) open.write(new Uint8Array(4096).fill(i), i * 2 * 4096)
  // Each step a transaction of its own, and the power fails after some of them.
  Object.defineProperty(volume.core.transaction, 'full', { value: true })
  let records = 0
  const stop = new Error('power cut')
  const { log } = volume.core
  const append = log.append.bind(log)
  log.append = (...parts: Parameters<typeof append>) => {
    if (++records > 20) throw stop
    append(...parts)
  }
  try {
    open.collapse(8 * 4096, 4 * 4096)
  } catch (error) {
    if (!(error instanceof Error) || !error.message.includes('power cut')) throw error
  }
}

/** Everything that can be seen of a volume, one line a file. */
export function describeVolume(volume: Volume): string[] {
  const lines: string[] = []
  const walk = (directory: Uint8Array) => {
    const entries = volume.readdir(directory.length === 0 ? '/' : directory)
    for (const { name } of entries.sort((a, b) => Buffer.compare(a.name, b.name))) {
      const path = Buffer.concat([directory, Buffer.from('/'), name])
      lines.push(describeFile(volume, path))
      if (volume.lstat(path).isDirectory()) walk(path)
    }
  }
  walk(new Uint8Array(0))
  lines.push(`bad blocks ${volume.badBlocks().join(' ')}`)
  return lines
}

function describeFile(volume: Volume, path: Uint8Array): string {
  const stats = volume.lstat(path)
  const noFollow = { follow: false }
  const content = stats.isFile()
    ? volume.readFile(path)
    : stats.isSymbolicLink()
      ? volume.readlink(path)
      : new Uint8Array(0)
  const xattrs = volume
    .listXattrs(path, noFollow)
    .map((name) => `${name}=${digest(volume.getXattr(path, name, noFollow))}`)
  const { append, immutable } = stats.isSymbolicLink()
    ? { append: false, immutable: false }
    : volume.inodeFlags(path)
  return [
    JSON.stringify(Buffer.from(path).toString('latin1')),
    stats.mode.toString(8),
    `${stats.uid}:${stats.gid}`,
    `links ${stats.nlink}`,
    `size ${stats.size}`,
    `blocks ${stats.blocks}`,
    `device ${stats.rdev}`,
    `mtime ${stats.mtimeSeconds}.${stats.mtimeNanoseconds}`,
    `born ${stats.birthtimeSeconds}.${stats.birthtimeNanoseconds}`,
    `flags ${append ? 'a' : ''}${immutable ? 'i' : ''}`,
    digest(content),
    ...xattrs,
  ].join(' ')
}

function digest(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex').slice(0, 16)
}
