/** What the guest with siw starts from, made anew for each run in build/interop. */
import { copyFileSync, mkdirSync, readdirSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { copyProgram, makeInitrd } from '../machine/initrd.js'
import { unpackKernel } from '../machine/kernel.js'
import { install, MACHINE_NEEDS, run, which, type Needs } from '../machine/needs.js'
import { buildSiw } from './siw.js'

const ROOT = fileURLToPath(new URL('../../../', import.meta.url))
const FOLDER = resolve(ROOT, 'build/interop')
/** Drivers of providers of verbs, and what says which there are. */
const LIBRARIES = '/usr/lib/x86_64-linux-gnu'
const PROVIDERS = join(LIBRARIES, 'libibverbs')
const PROVIDER_LIST = '/etc/libibverbs.d'
const NEEDS: Needs = {
  commands: { gcc: 'gcc', rdma: 'iproute2', rping: 'rdmacm-utils' },
  files: {
    '/usr/include/infiniband/verbs.h': 'libibverbs-dev',
    '/usr/include/rdma/rdma_cma.h': 'librdmacm-dev',
    [join(PROVIDER_LIST, 'siw.driver')]: 'ibverbs-providers',
  },
}
/** What siw and its users need, and the network card. */
const MODULES = [
  ...['virtio_pci', 'virtio_net', 'crc32c_generic', 'crc32c-intel', 'libcrc32c'],
  ...['ib_core', 'ib_uverbs', 'iw_cm', 'rdma_cm', 'rdma_ucm'],
]

export interface Image {
  readonly kernel: string
  readonly initrd: string
  readonly log: string
}

function fill(tree: string): void {
  for (const tool of ['rping', 'rdma']) copyProgram(which(tool), tree, join('bin', tool))
  const peer = join(FOLDER, 'verbs_peer')
  const source = join(ROOT, 'test/interop/verbs_peer.c')
  const flags = ['-std=c11', '-D_GNU_SOURCE', '-O2', '-Wall', '-Wextra', '-Werror']
  run('gcc', [...flags, '-o', peer, source, '-lrdmacm', '-libverbs'])
  copyProgram(peer, tree, 'bin/verbs_peer')
  const provider = readdirSync(PROVIDERS).find((file) => file.startsWith('libsiw-'))!
  copyProgram(join(PROVIDERS, provider), tree, join(PROVIDERS, provider))
  mkdirSync(join(tree, PROVIDER_LIST), { recursive: true })
  const list = join(PROVIDER_LIST, 'siw.driver')
  copyFileSync(list, join(tree, list))
  // What threads that end themselves load while they run, which ldd does not show.
  const unwinder = run('gcc', ['-print-file-name=libgcc_s.so.1']).trim()
  copyProgram(unwinder, tree, join(LIBRARIES, 'libgcc_s.so.1'))
}

/** Throws CannotRun. */
export function makeImage(): Image {
  install(MACHINE_NEEDS, NEEDS)
  const kernel = unpackKernel()
  const siw = buildSiw(kernel)
  mkdirSync(FOLDER, { recursive: true })
  const initrd = makeInitrd({
    folder: FOLDER,
    kernel,
    modules: MODULES,
    moreModules: [siw],
    commands: ['sh'],
    init: readFileSync(join(ROOT, 'test/interop/init.sh'), 'utf8'),
    fill,
  })
  return { kernel: kernel.image, initrd, log: join(FOLDER, 'console.log') }
}
