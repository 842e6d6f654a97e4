/**
 * The filesystem suite's volumes as programs see them: mounted, in each way. This process serves
 * the mount, and another one is the program (host/): a server that waits for itself waits forever.
 */
import { mkdtempSync, rmdirSync } from 'node:fs'
import { join } from 'node:path'
import type { FileSystem } from '../../src/base/filesystem.js'
import { prepareKernel } from '../suite/linux/caller.js'
import { tmpfs, type Setup } from '../suite/ground.js'
import { local, remote as rdma } from '../served/setups.js'
import { mountHere } from './here.js'
import { HostFileSystem } from './host/filesystem.js'
import { cannotMount } from './scene.js'

/** `fs` at a directory of its own; closing what comes back unmounts it, and closes `fs`. */
async function mount(fs: FileSystem, through: Setup, readOnly: boolean): Promise<FileSystem> {
  const directory = mkdtempSync(join('/dev/shm', 'holdfast-mounted-'))
  const it = await mountHere(directory, fs, {
    readOnly,
    tellsAlways: through === tmpfs,
    alone: through === tmpfs,
  })
  const host = new HostFileSystem(directory)
  const end = host.close.bind(host)
  host.close = async () => {
    await end()
    if (!(await it.leave())) throw new Error('a program was still in the mount')
    await fs.close()
    rmdirSync(directory)
  }
  return host
}

function mounted(name: string, through: Setup): Setup {
  return {
    ...through,
    name,
    slow: true,
    prepare: () => cannotMount() ?? prepareKernel() ?? through.prepare?.() ?? null,
    make(bytes) {
      const store = through.make(bytes)
      return {
        ...store,
        open: async (readOnly = false) => mount(await store.open(readOnly), through, readOnly),
      }
    },
  }
}

export const embedded = mounted('a mount that is embedded', tmpfs)
export const served = mounted('a mount that is served', local)
export const remote = mounted('a mount that is remote', rdma)
