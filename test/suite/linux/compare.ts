/** The same steps made to a volume and to Linux, and what differs. */
import { native } from '../../../src/native/native.js'
import { heapRegion } from '../../../src/region/memory_region.js'
import { VolumeFileSystem } from '../../../src/layout/filesystem.js'
import { LayoutVolume } from '../../../src/layout/volume.js'
import { formatVolume } from '../../../src/volume/format.js'
import { fieldsOf, parseStep, shown, USERS, call, type Step, type Subject } from '../steps.js'
import { VolumeSubject } from '../subject.js'
import { KernelSubject } from './kernel.js'

/** The volume and Linux after the last step, as text that ought to be the same. */
export interface Found {
  readonly index: number
  readonly line: string
  readonly volume: string
  readonly linux: string
}

/**
 * Whether two outcomes may differ: 'end' when what follows differs by it, 'go on' when only this
 * answer does; null: they may not.
 */
export type Excuse = (
  step: Step,
  volume: string,
  linux: string,
  before: readonly string[],
) => 'end' | 'go on' | null

/** What can be seen of a path, by root. */
async function look(subject: Subject, path: string): Promise<string> {
  const ask = (name: string, ...words: string[]) =>
    subject.run(USERS.root, call(name, [path, ...words]))
  const stat = await ask('lstat')
  if (stat.startsWith('E')) return stat
  const mode = parseInt(stat, 8) & 0o170000
  const fields = ['mode', 'nlink', 'uid', 'gid', ...(mode === 0o040000 ? [] : ['size', 'rdev'])]
  const parts = [fieldsOf(stat, fields)]
  if (mode === 0o120000) parts.push(`-> ${await ask('readlink')}`)
  else {
    if (mode === 0o100000) parts.push(await content(subject, path))
    parts.push(`acl ${await ask('getacl', 'access')}`, `xattrs ${await ask('listxattr')}`)
    if (mode === 0o040000) {
      parts.push(`default ${await ask('getacl', 'default')}`, `names ${await ask('readdir')}`)
    }
  }
  return parts.join(', ')
}

/** The bytes of a file, as a sum: they are many. */
async function content(subject: Subject, path: string): Promise<string> {
  const ask = (name: string, ...words: string[]) => subject.run(USERS.root, call(name, words))
  await ask('open', '60', path, 'r,noatime', '0')
  const bytes = Buffer.from(await ask('read', '60', '65536', '0'), 'latin1')
  await ask('close', '60')
  return `crc ${native.crc32cOf(bytes, 0, bytes.length, 0)}`
}

export async function compare(
  directory: string,
  lines: readonly string[],
  paths: readonly string[],
  excuse: Excuse,
): Promise<Found | null> {
  const region = heapRegion(16 << 20)
  formatVolume(region)
  const fs = new VolumeFileSystem(LayoutVolume.mount(region))
  const volume = new VolumeSubject(fs)
  const linux = new KernelSubject(directory)
  try {
    for (const [index, line] of lines.entries()) {
      const step = parseStep(line)
      const a = shown(step, await volume.run(USERS[step.user], step.call))
      const b = shown(step, await linux.run(USERS[step.user], step.call))
      if (a !== b) {
        const excused = excuse(step, a, b, lines.slice(0, index))
        if (excused === null) return { index, line, volume: a, linux: b }
        if (excused === 'end') return null
        // What only one of them opened.
        if (step.call.name === 'open') {
          const close = call('close', [String(step.call.args[0])])
          await volume.run(USERS.root, close)
          await linux.run(USERS.root, close)
        }
      }
      if (index % 8 !== 7 && index < lines.length - 1) continue
      for (const path of paths) {
        const seen = await look(volume, path)
        const expected = await look(linux, path)
        if (seen !== expected)
          return { index, line: `${line}; ${path}`, volume: seen, linux: expected }
      }
    }
    return null
  } finally {
    await volume.finish()
    await fs.close()
    await linux.finish()
    region.close()
  }
}

/** The shortest lines found that still differ: without runs of them, as long as that helps. */
export async function shrink(
  lines: readonly string[],
  differs: (lines: readonly string[]) => Promise<boolean>,
): Promise<readonly string[]> {
  let left = lines
  for (let size = Math.ceil(left.length / 2); size >= 1;) {
    let shorter = false
    for (let at = 0; at < left.length;) {
      const without = [...left.slice(0, at), ...left.slice(at + size)]
      if (await differs(without)) {
        left = without
        shorter = true
      } else at += size
    }
    if (size > 1 || !shorter) size = size === 1 ? 0 : Math.ceil(size / 2)
  }
  return left
}
