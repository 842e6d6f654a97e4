/**
 * siw, the kernel's software iWARP, as a module of the guest's kernel. Debian does not build it: it
 * is compiled here from Debian's source of the kernel. What it asks of a connection is constant in
 * that source; here it is settings of the module, which the tests change while it runs. Their
 * values at first are the constants; and a fault of it that would end any connection with CRC now
 * and then is mended unless a setting says otherwise.
 */
import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { download, type Kernel } from '../machine/kernel.js'
import { cached, install, run, type Needs } from '../machine/needs.js'

/** Settings of the module in the guest, /sys/module/siw/parameters/. */
export const SETTINGS = {
  /** Ask for CRC as an initiator. */
  crc: 'mpa_crc_required',
  /** Ask for the peer-to-peer model as an initiator. */
  peerToPeer: 'peer_to_peer',
  /** Kinds of RTR that an initiator offers: 0x8000 Write, 0x4000 Read. */
  rtr: 'offered_rtr',
  /**
   * Whether a trailer, the padding and the CRC of a frame, may come in two pieces. siw copies the
   * second over the first, and ends the connection for a CRC that is not that of the frame: which
   * frame that meets depends on how TCP cuts the stream.
   */
  trailers: 'trailers_in_pieces',
} as const

interface Edit {
  readonly file: string
  readonly from: string
  readonly to: string
}

const flag = (name: string): Edit[] => [
  {
    file: 'siw_main.c',
    from: `const bool ${name};`,
    to: `bool ${name};\nmodule_param(${name}, bool, 0644);`,
  },
  { file: 'siw.h', from: `extern const bool ${name};`, to: `extern bool ${name};` },
]

const EDITS: readonly Edit[] = [
  { file: 'Makefile', from: 'obj-$(CONFIG_RDMA_SIW)', to: 'obj-m' },
  ...flag(SETTINGS.crc),
  ...flag(SETTINGS.peerToPeer),
  {
    file: 'siw_cm.c',
    from: 'static const bool relaxed_ird_negotiation = true;',
    to: [
      'static const bool relaxed_ird_negotiation = true;',
      `static ushort ${SETTINGS.rtr} = 0xc000;`,
      `module_param(${SETTINGS.rtr}, ushort, 0644);`,
    ].join('\n'),
  },
  {
    file: 'siw_cm.c',
    from: 'cep->mpa.v2_ctrl.ord |= rtr_type;',
    to: `cep->mpa.v2_ctrl.ord |= rtr_type & htons(${SETTINGS.rtr});`,
  },
  {
    file: 'siw_qp_rx.c',
    from: '#include "siw_mem.h"\n',
    to: [
      '#include "siw_mem.h"',
      '#include <linux/moduleparam.h>',
      `static bool ${SETTINGS.trailers} = true;`,
      `module_param(${SETTINGS.trailers}, bool, 0644);\n`,
    ].join('\n'),
  },
  {
    file: 'siw_qp_rx.c',
    from: 'skb_copy_bits(skb, srx->skb_offset, tbuf, avail);',
    to: [
      `if (${SETTINGS.trailers}) tbuf += srx->fpdu_part_rcvd;`,
      'skb_copy_bits(skb, srx->skb_offset, tbuf, avail);',
      'srx->fpdu_part_rcvd += avail;',
      'tbuf = (u8 *)&srx->trailer.crc - srx->pad;',
    ].join('\n'),
  },
]

function edit(folder: string): void {
  for (const { file, from, to } of EDITS) {
    const path = join(folder, file)
    const parts = readFileSync(path, 'utf8').split(from)
    if (parts.length !== 2) {
      throw new Error(`siw's ${file} has '${from}' ${parts.length - 1} times, once was expected`)
    }
    writeFileSync(path, parts.join(to))
  }
}

function headersOf(version: string): string {
  return `/usr/src/linux-headers-${version}`
}

function needsOf(version: string): Needs {
  return {
    commands: { gcc: 'gcc', make: 'make', xz: 'xz-utils', strip: 'binutils' },
    files: { [headersOf(version)]: `linux-headers-${version}` },
  }
}

/** Of the archive of the kernel's source, siw alone, into the folder. */
function unpackSource(version: string, folder: string): void {
  const name = `linux-source-${version.split('.').slice(0, 2).join('.')}`
  console.log(`building siw from ${name}`)
  const archive = download(name, folder)
  const inside = `${name}/drivers/infiniband/sw/siw`
  run(
    'sh',
    ['-ec', `dpkg-deb --fsys-tarfile '${archive}' | tar -xf - ./usr/src/${name}.tar.xz`],
    folder,
  )
  rmSync(archive)
  const all = join(folder, `usr/src/${name}.tar.xz`)
  run('tar', ['-xf', all, '--strip-components=5', inside], folder)
  rmSync(join(folder, 'usr'), { recursive: true })
}

/** The file of the module, which is kept beside the kernel. Throws CannotRun. */
export function buildSiw(kernel: Kernel): string {
  // Another text of the edits is another module.
  const { version } = kernel
  const folder = cached(`siw-${version}-${fingerprint(JSON.stringify(EDITS))}`, (making) => {
    install(needsOf(version))
    unpackSource(version, making)
    edit(making)
    run('make', ['-s', '-C', headersOf(version), `M=${making}`, 'modules'], making)
    run('strip', ['--strip-debug', join(making, 'siw.ko')])
  })
  return join(folder, 'siw.ko')
}

function fingerprint(text: string): string {
  let hash = 0
  for (let i = 0; i < text.length; i++) hash = (Math.imul(hash, 31) + text.charCodeAt(i)) >>> 0
  return hash.toString(16).padStart(8, '0')
}
