/** holdfast mknod: FIFOs, sockets and devices. */
import { InvalidArgumentError, type Command } from 'commander'
import { Mode } from '../../base/mode.js'
import { parseVolumeTarget, type VolumeTarget } from '../arguments.js'
import { deviceNumber } from '../display.js'
import { NEW_MODE_OPTION, newFileMode } from '../mode.js'
import { examples, parseNumber } from '../options.js'
import { onVolume, creatorOf } from '../session.js'

/** Letters of mknod(1), and s for a socket. */
const TYPES: Readonly<Record<string, number>> = {
  b: Mode.block,
  c: Mode.character,
  u: Mode.character,
  p: Mode.fifo,
  s: Mode.socket,
}
const MAJOR_MAX = 0xfff
const MINOR_MAX = 0xfffff

export function mknodCommand(program: Command): Command {
  return program
    .command('mknod')
    .summary('make a FIFO, a socket or a device file')
    .description(
      'Makes a file of TYPE: p FIFO, s socket, b block device, c or u character device. A device has ' +
        'a MAJOR (up to 4095) and a MINOR (up to 1048575) number, in decimal or with 0x.',
    )
    .argument('<volume:path>', 'its name', parseVolumeTarget)
    .argument('<type>', 'p, s, b, c or u', parseType)
    .argument('[major]', 'of a device', parseNumber)
    .argument('[minor]', 'of a device', parseNumber)
    .option(...NEW_MODE_OPTION)
    .addHelpText(
      ...examples('holdfast mknod v.hf:/dev/null c 1 3', 'holdfast mknod -m 600 v.hf:/pipe p'),
    )
    .action(make)
}

function parseType(text: string): number {
  const type = TYPES[text]
  if (type === undefined) throw new InvalidArgumentError('a type is p, s, b, c or u')
  return type
}

async function make(
  target: VolumeTarget,
  type: number,
  major: number | undefined,
  minor: number | undefined,
  options: { readonly mode?: number },
  command: Command,
): Promise<void> {
  const isDevice = type === Mode.block || type === Mode.character
  if (isDevice !== (minor !== undefined) || (!isDevice && major !== undefined)) {
    const what = isDevice ? 'a device has a MAJOR and a MINOR number' : 'only devices have numbers'
    return command.error(`error: ${what}`)
  }
  if ((major ?? 0) > MAJOR_MAX || (minor ?? 0) > MINOR_MAX) {
    return command.error(`error: MAJOR is at most ${MAJOR_MAX}, MINOR at most ${MINOR_MAX}`)
  }
  const device = deviceNumber(major ?? 0, minor ?? 0)
  const { mode = newFileMode() } = options
  await onVolume(target, 'write', (volume, path) =>
    volume.mknod(path, type | mode, device, creatorOf(volume)),
  )
}
