/** A guest: qemu with a serial console, read line by line, and killed without a warning. */
import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import type { Guest } from './setup.js'

export interface Boot {
  readonly guest: Guest
  /** The disk under test. */
  readonly disk: string
  readonly round: number
  /** Called with each line of the console; true: kill the guest. */
  onLine(line: string): boolean
  /** Milliseconds that the guest goes on after that: chance decides what it is doing then. */
  readonly delay: number
  /** Milliseconds after which a guest that says nothing of interest is given up. */
  readonly patience: number
}

/**
 * Emulated: it works wherever qemu does, within another virtual machine too, where /dev/kvm may be
 * there and hang. HOLDFAST_KVM=1 for machines on which it is known to work.
 */
function accelerator(): string[] {
  if (process.env['HOLDFAST_KVM'] === '1') return ['-accel', 'kvm', '-cpu', 'host']
  return ['-accel', 'tcg,thread=multi,tb-size=256', '-cpu', 'max']
}

function drive(file: string, extra: string): string[] {
  // Writes of the guest go to the page cache of the host, which outlives qemu; what the guest has
  // not written yet, in its own page cache, dies with it.
  return ['-drive', `file=${file},format=raw,if=virtio,cache=writeback${extra}`]
}

/** Boots, and kills; resolves with all lines of the console when qemu is gone. */
export async function bootAndKill(boot: Boot): Promise<{ lines: string[]; killed: boolean }> {
  const { kernel, initrd, tools } = boot.guest
  const qemu = spawn(
    'qemu-system-x86_64',
    [
      ...accelerator(),
      '-machine',
      'q35',
      '-m',
      '768',
      '-smp',
      '1',
      '-nodefaults',
      '-no-reboot',
      '-display',
      'none',
      '-serial',
      'stdio',
      '-monitor',
      'none',
      '-kernel',
      kernel,
      '-initrd',
      initrd,
      '-append',
      `console=ttyS0 quiet panic=-1 mitigations=off holdfast.round=${boot.round}`,
      ...drive(tools, ',readonly=on'),
      ...drive(boot.disk, ''),
    ],
    { stdio: ['ignore', 'pipe', 'pipe'] },
  )
  const lines: string[] = []
  let killed = false
  const patience = setTimeout(() => qemu.kill('SIGKILL'), boot.patience)
  createInterface({ input: qemu.stdout }).on('line', (text) => {
    // What came after the decision is not asked for any more: but it was acknowledged.
    lines.push(text.replace(/\r/g, ''))
    if (killed || !boot.onLine(lines[lines.length - 1]!)) return
    killed = true
    setTimeout(() => qemu.kill('SIGKILL'), boot.delay)
  })
  createInterface({ input: qemu.stderr }).on('line', (text) => lines.push(`qemu: ${text}`))
  await new Promise((resolve) => qemu.on('close', resolve))
  clearTimeout(patience)
  return { lines, killed }
}
