/** A Debian kernel, unpacked and not installed, which is kept in the user's cache directory. */
import { spawnSync } from 'node:child_process'
import { readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { apt, cached, CannotRun, run } from './needs.js'

export interface Kernel {
  readonly version: string
  readonly image: string
  /** Where its modules are, with modules.dep. */
  readonly modules: string
}

/** The name of the package with the kernel that linux-image-amd64 stands for. */
function kernelPackage(): string {
  const find = () => {
    const depends = spawnSync('apt-cache', ['depends', 'linux-image-amd64'], { encoding: 'utf8' })
    return /Depends: (linux-image-[0-9]\S*)/.exec(depends.stdout ?? '')?.[1]
  }
  let name = find()
  if (name === undefined && process.getuid?.() === 0) {
    apt(['update', '-qq'])
    name = find()
  }
  if (name !== undefined) return name
  throw new CannotRun('the packages of this machine have no linux-image-amd64')
}

/** Downloads a package into a folder; returns its file. Throws CannotRun. */
export function download(name: string, folder: string): string {
  apt(['download', '-qq', name], folder)
  return join(
    folder,
    readdirSync(folder).find((file) => file.endsWith('.deb'))!,
  )
}

/** Throws CannotRun. */
export function unpackKernel(): Kernel {
  const folder = cached('kernel', (making) => {
    const name = kernelPackage()
    console.log(`unpacking ${name}`)
    const archive = download(name, making)
    run('dpkg', ['-x', archive, making])
    rmSync(archive)
    run('depmod', ['-b', making, name.slice('linux-image-'.length)])
  })
  const boot = join(folder, 'boot')
  const image = readdirSync(boot).find((file) => file.startsWith('vmlinuz-'))!
  const version = image.slice('vmlinuz-'.length)
  return { version, image: join(boot, image), modules: join(folder, 'lib/modules', version) }
}
