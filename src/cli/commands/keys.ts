/** holdfast keys: the key file of a server, whose keys let remote clients in. */
import { InvalidArgumentError, type Command } from 'commander'
import { systemEntropy } from '../../base/clock.js'
import { HoldfastError } from '../../base/errors.js'
import { changePrivateFile, readPrivateFile } from '../../base/private_file.js'
import {
  formatKey,
  formatSecret,
  invalidKeyId,
  KEY_FILE_BYTES_MAX,
  KEY_GROUPS_MAX,
  KEYS_MAX,
  parseKeys,
  SECRET_BYTES,
  type Key,
  type KeyIdentity,
  type KeyLine,
} from '../../control/keys.js'
import { groupId, loginGroup, userId } from '../accounts.js'
import { printable } from '../display.js'
import { examples, JSON_OPTION, type JsonOption } from '../options.js'
import { print, printJson, table } from '../output.js'

const FILE = { most: KEY_FILE_BYTES_MAX }
const HEAD =
  '# Keys of remote clients (holdfast keys --help): ID SECRET uid=N gid=N groups=N,N ro|rw # comment\n'

export function keysCommand(program: Command): Command {
  const keys = program
    .command('keys')
    .summary('make, list and remove keys of remote clients')
    .description(
      'A key lets remote clients in, with the rights of a user. Keys stand in a file that only its ' +
        'owner reads, a line each: id, secret, uid=N gid=N groups=N,N, ro or rw, and a comment. The ' +
        'secret proves who has it without being sent; a client has a file with id and secret alone.',
    )
    .usage('COMMAND [options] FILE')
    .addHelpText(
      ...examples(
        'holdfast keys make --id laptop --uid 1000 /etc/holdfast/keys',
        'holdfast keys list /etc/holdfast/keys',
        'holdfast keys remove laptop /etc/holdfast/keys',
      ),
    )
  makeCommand(keys)
  listCommand(keys)
  removeCommand(keys)
  return keys
}

interface MakeOptions extends JsonOption {
  readonly id?: string
  readonly uid?: number
  readonly gid?: number
  readonly groups: readonly number[]
  readonly ro?: boolean
  readonly comment?: string
  readonly show?: boolean
}

function makeCommand(keys: Command): void {
  keys
    .command('make')
    .summary('add a key to a key file')
    .description(
      'Adds a new key of 256 random bits to FILE, which is made, for its owner alone, when it is not ' +
        'there. A server that runs takes it up with SIGHUP.',
    )
    .argument('<file>', 'key file')
    .option('--id <id>', 'what the key is called (default: by chance)', parseId)
    .option('--uid <user>', 'whose rights it has, by name or number (default: yours)', userId)
    .option('--gid <group>', "group of files that are made (default: the user's)", groupId)
    .option('--groups <list>', 'more groups, with commas between them', parseGroups, [])
    .option('--ro', 'may read only')
    .option('--comment <text>', 'what it is for', parseComment)
    .option('--show', 'print the line for the client, which has the secret, and nothing else')
    .option(...JSON_OPTION)
    .addHelpText(
      ...examples(
        'holdfast keys make --id laptop --uid 1000 --groups 27,100 keys',
        "holdfast keys make --show --id laptop keys | ssh laptop 'umask 077; cat > holdfast.key'",
      ),
    )
    .action(make)
}

function parseId(text: string): string {
  const wrong = invalidKeyId(text)
  if (wrong !== null) throw new InvalidArgumentError(wrong)
  return text
}

function parseGroups(text: string): number[] {
  const groups = text.split(',').map(groupId)
  if (groups.length <= KEY_GROUPS_MAX) return groups
  throw new InvalidArgumentError(`at most ${KEY_GROUPS_MAX} groups`)
}

function parseComment(text: string): string {
  const line = text.trim()
  if (line === printable(line)) return line
  throw new InvalidArgumentError('a comment is one line, without control characters')
}

async function make(file: string, options: MakeOptions, command: Command): Promise<void> {
  const identity = identityOf(options, command)
  const id = options.id ?? `key-${Buffer.from(random(4)).toString('hex')}`
  const { comment = '' } = options
  const key = { id, secret: random(SECRET_BYTES), identity, comment }
  changePrivateFile(file, FILE, (before) => added(before, key, file))
  const shown = formatSecret(key)
  if (options.json === true) {
    await printJson({ ...facts({ ...key, line: 0 }), ...(options.show ? { secret: shown } : {}) })
  } else await print(options.show === true ? `${shown}\n` : told(id, identity, file))
}

function identityOf(options: MakeOptions, command: Command): KeyIdentity {
  const own = process.getuid!()
  if (options.uid === undefined && own === 0) {
    return command.error('error: --uid is missing: the key would have all rights (--uid 0: it has)')
  }
  const uid = options.uid ?? own
  const gid = options.gid ?? (uid === own ? process.getgid!() : loginGroup(uid))
  if (gid === null) return command.error(`error: user ${uid} has no group on this host; add --gid`)
  return { uid, gid, groups: options.groups, readOnly: options.ro === true }
}

function random(length: number): Uint8Array {
  const bytes = new Uint8Array(length)
  systemEntropy.fill(bytes)
  return bytes
}

function added(before: string | null, key: Omit<Key, 'line'>, path: string): string {
  const text = before ?? HEAD
  const there = parseKeys(text, path)
  if (there.has(key.id)) {
    const remedy = 'remove it first, or choose another'
    throw new HoldfastError('EEXIST', `there is a key '${key.id}' in it; ${remedy}`, { path })
  }
  if (there.size === KEYS_MAX)
    throw new HoldfastError('EFBIG', `at most ${KEYS_MAX} keys`, { path })
  const lines = text === '' || text.endsWith('\n') ? text : `${text}\n`
  return `${lines}${formatKey(key)}\n`
}

function told(id: string, identity: KeyIdentity, file: string): string {
  const { uid, gid, readOnly } = identity
  const may = readOnly ? 'reads' : 'reads and writes'
  const quoted = printable(`'${file.replaceAll("'", "'\\''")}'`)
  const line = `grep '^${id.replaceAll('.', '\\.')} ' ${quoted}`
  return `key ${id} is in ${printable(file)}: user ${uid}, group ${gid}, ${may}
give it to a client:   ${line} | ssh CLIENT 'umask 077; cat > holdfast.key'
which uses it so:      holdfast ls --key holdfast.key hf://HOST:7174/
a server that runs takes it up with SIGHUP
`
}

function listCommand(keys: Command): void {
  keys
    .command('list')
    .summary('keys of a key file, without their secrets')
    .description('Shows the keys of FILE, and whose rights they have; never the secrets.')
    .argument('<file>', 'key file')
    .option(...JSON_OPTION)
    .addHelpText(...examples('holdfast keys list /etc/holdfast/keys'))
    .action(list)
}

async function list(file: string, options: JsonOption): Promise<void> {
  const keys = [...parseKeys(readPrivateFile(file, FILE), file).values()]
  if (options.json === true) return printJson(keys.map(facts))
  const rows = keys.map(({ id, secret, identity, comment }) => [
    id,
    String(identity?.uid ?? '-'),
    String(identity?.gid ?? '-'),
    identity?.groups.join(',') || '-',
    accessOf(identity) ?? '-',
    String(secret.length * 8),
    printable(comment),
  ])
  if (rows.length === 0) return
  await print(table([['ID', 'UID', 'GID', 'GROUPS', 'MAY', 'BITS', 'COMMENT'], ...rows], [1, 2, 5]))
}

const accessOf = (identity: KeyIdentity | null) =>
  identity === null ? null : identity.readOnly ? 'ro' : 'rw'

/** What there is to know of a key but the secret. */
function facts({ id, secret, identity, comment }: KeyLine) {
  const { uid = null, gid = null, groups = [] } = identity ?? {}
  return { id, uid, gid, groups, access: accessOf(identity), bits: secret.length * 8, comment }
}

function removeCommand(keys: Command): void {
  keys
    .command('remove')
    .summary('remove a key from a key file')
    .description(
      'Removes the line of a key from FILE. A server that runs ends the sessions with this key when ' +
        'it gets SIGHUP.',
    )
    .argument('<id>', 'what the key is called', parseId)
    .argument('<file>', 'key file')
    .addHelpText(...examples('holdfast keys remove laptop /etc/holdfast/keys'))
    .action(remove)
}

async function remove(id: string, file: string): Promise<void> {
  const gone = () => new HoldfastError('ENOENT', `there is no key '${id}' in it`, { path: file })
  readPrivateFile(file, FILE) // a file that is not there is not made
  changePrivateFile(file, FILE, (before) => {
    const text = before ?? ''
    const key = parseKeys(text, file).get(id)
    if (key === undefined) throw gone()
    const lines = text.split('\n')
    lines.splice(key.line - 1, 1)
    return lines.join('\n')
  })
}
