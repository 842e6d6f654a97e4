/** What a volume may show after its process was killed: the model, as far as the process got. */
import assert from 'node:assert/strict'
import type { Volume } from '../../src/volume/volume.js'
import {
  FilesystemModel,
  ModelError,
  type ModelFile,
  type ModelInode,
} from '../model/filesystem_model.js'
import { pathOf, toPath, type Operation } from '../model/operations.js'
import { FIRST_SECOND, patterned } from '../model/pair.js'

/** The model alone, driven as the killed process drove it. */
class ModelRun {
  readonly model = new FilesystemModel(FIRST_SECOND)
  readonly #files = new Map<number, ModelFile>()

  /** True when the operation makes all before it durable, in every mode. */
  apply(op: Operation): boolean {
    this.model.now++
    try {
      return this.#apply(op)
    } catch (error) {
      if (!(error instanceof ModelError)) throw error
      return false
    }
  }

  #apply(op: Operation): boolean {
    const { model } = this
    const file = 'slot' in op ? this.#files.get(op.slot) : undefined
    if (op.do === 'open') {
      file?.close()
      this.#files.delete(op.slot)
      this.#files.set(op.slot, model.open(pathOf(op.place, model), op.flags))
    } else if (op.do === 'create') model.open(pathOf(op.place, model), 'wx').close()
    else if (op.do === 'close') {
      file?.close()
      this.#files.delete(op.slot)
    } else if (op.do === 'write') file?.write(patterned(op.length, op.fill), op.position)
    else if (op.do === 'read') file?.read(op.length, op.position)
    else if (op.do === 'ftruncate') file?.truncate(op.size)
    else if (op.do === 'truncate') model.truncate(pathOf(op.place, model), op.size)
    else if (op.do === 'mkdir' || op.do === 'rmdir' || op.do === 'unlink') {
      model[op.do](pathOf(op.place, model))
    } else if (op.do === 'rename' || op.do === 'link') {
      model[op.do](pathOf(op.place, model), pathOf(op.to, model))
    }
    return op.do === 'sync' || (op.do === 'fsync' && file !== undefined)
  }

  /** Every file, by its model inode. */
  files(): Map<ModelInode, string> {
    const files = new Map<ModelInode, string>()
    for (const path of this.model.paths()) {
      const inode = this.model.inode(path)
      if (inode.kind === 'file' && !files.has(inode)) files.set(inode, path)
    }
    return files
  }
}

/** Names, types, links and sizes of all that is there, as one text. */
function describeModel(model: FilesystemModel): string {
  const first = new Map<ModelInode, string>()
  return model
    .paths()
    .sort()
    .map((path) => {
      const inode = model.inode(path)
      if (!first.has(inode)) first.set(inode, path)
      const size = inode.kind === 'file' ? inode.content.size : inode.entries.size * 64
      return `${path} ${inode.kind} ${inode.links} ${size} ${first.get(inode)}`
    })
    .join('\n')
}

function describeVolume(volume: Volume): string {
  const paths = ['/']
  const down = (text: string) => {
    for (const { name, type } of volume.readdir(toPath(text === '' ? '/' : text))) {
      const path = `${text}/${Buffer.from(name).toString('latin1')}`
      paths.push(path)
      if (type === 'directory') down(path)
    }
  }
  down('')
  const first = new Map<number, string>()
  return paths
    .sort()
    .map((path) => {
      const { ino, type, nlink, size } = volume.stat(toPath(path))
      if (!first.has(ino)) first.set(ino, path)
      return `${path} ${type} ${nlink} ${size} ${first.get(ino)}`
    })
    .join('\n')
}

/**
 * Contents that a file of the state after `from` operations may have: writes in place are not
 * undone, so that each byte is that of some state from there up to the operation under way.
 */
class Versions {
  readonly #files: Map<ModelInode, string>
  readonly #versions = new Map<ModelInode, Uint8Array[]>()
  readonly #last = new Map<ModelInode, number>()

  constructor(run: ModelRun) {
    this.#files = run.files()
    this.observe()
  }

  observe(): void {
    for (const inode of this.#files.keys()) {
      if (this.#last.get(inode) === inode.content.version) continue
      this.#last.set(inode, inode.content.version)
      const list = this.#versions.get(inode) ?? []
      list.push(inode.content.read(0, Infinity))
      this.#versions.set(inode, list)
    }
  }

  /** '' when every byte is explained, else what is not. */
  problem(volume: Volume): string {
    for (const [inode, path] of this.#files) {
      const bytes = volume.readFile(toPath(path))
      const versions = this.#versions.get(inode)!
      if (versions.some((version) => Buffer.compare(version, bytes) === 0)) continue
      const at = bytes.findIndex((byte, i) => versions.every((version) => version[i] !== byte))
      if (at >= 0) return `${path}: byte ${at} of ${bytes.length} is of no state that it may be of`
    }
    return ''
  }
}

/**
 * After how many operations the volume stands: `durable` at least, `last` at most, where `last` may
 * not have come to its end. Fails when it stands nowhere that it may.
 */
export function findState(
  volume: Volume,
  operations: readonly Operation[],
  durable: number,
  last: number,
): number {
  const shown = describeVolume(volume)
  const end = Math.min(last, operations.length)
  const candidates: { state: number; versions: Versions }[] = []
  const run = new ModelRun()
  let first = ''
  for (let state = 0; state <= end; state++) {
    if (state > 0) run.apply(operations[state - 1]!)
    for (const { versions } of candidates) versions.observe()
    if (state < durable) continue
    const expected = describeModel(run.model)
    if (expected === shown) candidates.push({ state, versions: new Versions(run) })
    if (state === durable) first = expected
  }
  let problem = 'names, links or sizes are of no state'
  for (const { state, versions } of candidates) {
    problem = versions.problem(volume)
    if (problem === '') return state
  }
  return assert.fail(
    `operations ${durable} to ${end} may be the last that is seen: ${problem}\n` +
      `found:\n${shown}\nafter operation ${durable}:\n${first}`,
  )
}

/** Operations up to the last one that was acknowledged and made all before it durable. */
export function lastSync(operations: readonly Operation[], acknowledged: number): number {
  const run = new ModelRun()
  let last = 0
  for (let i = 0; i < acknowledged; i++) if (run.apply(operations[i]!)) last = i + 1
  return last
}
