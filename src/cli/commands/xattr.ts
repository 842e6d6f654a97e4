/** holdfast xattr: extended attributes. */
import { Option, type Command } from 'commander'
import {
  parseVolumeTarget,
  parseVolumeTargets,
  unescapeBytes,
  type VolumeTarget,
} from '../arguments.js'
import { displayName, jsonPath } from '../display.js'
import { examples, JSON_OPTION, NO_FOLLOW_OPTION, type JsonOption } from '../options.js'
import { print, printJson } from '../output.js'
import { onVolume, onVolumes } from '../session.js'
import { decodeValue, encodeValue, ENCODINGS, type Encoding } from '../xattr_value.js'

interface Follow {
  /** `-h` makes it false. */
  readonly dereference: boolean
}

interface Shown extends Follow, JsonOption {
  readonly encoding?: Encoding
  readonly values?: boolean
}

export function xattrCommand(program: Command): Command {
  const xattr = program
    .command('xattr')
    .summary('list, get, set and remove extended attributes')
    .description(
      'Extended attributes: small named values beside the content of a file. Names begin with user., ' +
        'trusted. or security.; ACLs are shown and set by `holdfast facl`.',
    )
    .usage('COMMAND [options] VOLUME:PATH ...')
    .addHelpText(
      ...examples(
        'holdfast xattr set v.hf:/a.txt user.origin https://example.org/a',
        'holdfast xattr get v.hf:/a.txt user.origin',
        'holdfast xattr list --values v.hf:/a.txt',
      ),
    )
  listCommand(xattr)
  getCommand(xattr)
  setCommand(xattr)
  removeCommand(xattr)
  return xattr
}

const encodingOption = (text: string) => new Option('-e, --encoding <how>', text).choices(ENCODINGS)

function listCommand(xattr: Command): void {
  xattr
    .command('list')
    .summary('names of the attributes of files')
    .description(
      'Shows the names of the attributes of each file, with --values also what they hold.',
    )
    .argument('<volume:path...>', 'files', parseVolumeTargets)
    .option('-v, --values', 'values too')
    .addOption(encodingOption('how to show values (default: text where it is text, else hex)'))
    .option(...NO_FOLLOW_OPTION)
    .option(...JSON_OPTION)
    .addHelpText(...examples('holdfast xattr list -v v.hf:/a.txt'))
    .action(list)
}

async function list(targets: VolumeTarget[], options: Shown): Promise<void> {
  const found: unknown[] = []
  const follow = options.dereference
  await onVolumes(targets, 'read', async (volume, path) => {
    const names = await volume.listXattrs(path, { follow })
    const attributes: { name: string; value: string }[] = []
    for (const name of names) {
      const value = await volume.getXattr(path, name, { follow })
      attributes.push({ name, value: encodeValue(value, options.encoding) })
    }
    if (options.json === true) found.push({ ...jsonPath(path), attributes })
    else {
      const head = targets.length > 1 ? `${displayName(path)}:\n` : ''
      const lines = attributes.map(({ name, value }) =>
        options.values === true ? `${name}=${value}\n` : `${name}\n`,
      )
      await print(head + lines.join(''))
    }
  })
  if (options.json === true) await printJson(found)
}

function getCommand(xattr: Command): void {
  xattr
    .command('get')
    .summary('the value of an attribute')
    .description('Prints the value of one attribute; `-e raw` its bytes and nothing else.')
    .argument('<volume:path>', 'file', parseVolumeTarget)
    .argument('<name>', 'attribute')
    .addOption(encodingOption('how to show it (default: text where it is text, else hex)'))
    .option(...NO_FOLLOW_OPTION)
    .addHelpText(
      ...examples(
        'holdfast xattr get v.hf:/a.txt user.origin',
        'holdfast xattr get -e raw v.hf:/a.txt user.icon > icon.png',
      ),
    )
    .action(get)
}

async function get(target: VolumeTarget, name: string, options: Shown): Promise<void> {
  await onVolume(target, 'read', async (volume, path) => {
    const value = await volume.getXattr(path, name, { follow: options.dereference })
    if (options.encoding === 'raw') await print(value)
    else await print(`${encodeValue(value, options.encoding)}\n`)
  })
}

function setCommand(xattr: Command): void {
  xattr
    .command('set')
    .summary('set an attribute')
    .description(
      'Gives an attribute a value: the bytes of VALUE, or with -e what they stand for. Without -e a ' +
        'VALUE that begins with 0x is hex and one that begins with 0s is base64, as setfattr(1) has it.',
    )
    .argument('<volume:path>', 'file', parseVolumeTarget)
    .argument('<name>', 'attribute')
    .argument('[value]', 'value (empty when left out)')
    .addOption(encodingOption('what VALUE is'))
    .addOption(new Option('--create', 'fail when it is there').conflicts('replace'))
    .option('--replace', 'fail when it is not there')
    .option(...NO_FOLLOW_OPTION)
    .addHelpText(
      ...examples(
        'holdfast xattr set v.hf:/a.txt user.origin https://example.org/a',
        'holdfast xattr set -e hex v.hf:/a.txt user.digest cafe00',
      ),
    )
    .action(set)
}

async function set(
  target: VolumeTarget,
  name: string,
  value: string | undefined,
  options: Follow & {
    readonly encoding?: Encoding
    readonly create?: boolean
    readonly replace?: boolean
  },
): Promise<void> {
  const bytes = decodeValue(unescapeBytes(value ?? ''), options.encoding)
  const follow = options.dereference
  const mode = options.create === true ? 'create' : options.replace === true ? 'replace' : null
  await onVolume(target, 'write', (volume, path) =>
    volume.setXattr(path, name, bytes, mode === null ? { follow } : { follow, mode }),
  )
}

function removeCommand(xattr: Command): void {
  xattr
    .command('remove')
    .summary('remove an attribute')
    .description('Removes one attribute.')
    .argument('<volume:path>', 'file', parseVolumeTarget)
    .argument('<name>', 'attribute')
    .option(...NO_FOLLOW_OPTION)
    .addHelpText(...examples('holdfast xattr remove v.hf:/a.txt user.origin'))
    .action(remove)
}

async function remove(target: VolumeTarget, name: string, options: Follow): Promise<void> {
  await onVolume(target, 'write', (volume, path) =>
    volume.removeXattr(path, name, { follow: options.dereference }),
  )
}
