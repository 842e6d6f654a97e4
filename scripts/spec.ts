/**
 * The generated parts of the documentation: made from the declarations of src/media, src/base and
 * src/control, between a line `<!-- generated: NAME -->` and a line `<!-- end -->`.
 *
 *     node build/scripts/spec.js [--check]     writes docs/, or says what is out of date
 */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { ERRNO } from '../src/base/errors.js'
import type { Struct } from '../src/base/struct.js'
import { FINDINGS } from '../src/check/codes.js'
import { RecordKinds } from '../src/media/tree_node.js'
import { protocolSections } from './protocol.js'

/** From build/scripts. */
const ROOT = dirname(dirname(dirname(fileURLToPath(import.meta.url))))
export const DOCUMENTS = ['docs/SPEC.md', 'docs/ERRORS.md', 'docs/PROTOCOL.md'] as const

/** Every structure that a module of src/media declares, in the order of the modules' names. */
export async function structs(): Promise<Struct[]> {
  const folder = join(ROOT, 'build', 'src', 'media')
  const sources = readdirSync(join(ROOT, 'src', 'media')).sort()
  const found: Struct[] = []
  for (const name of sources) {
    const file = pathToFileURL(join(folder, name.replace(/\.ts$/, '.js'))).href
    const module = (await import(file)) as Record<string, unknown>
    for (const value of Object.values(module)) if (isStruct(value)) found.push(value)
  }
  return found
}

function isStruct(value: unknown): value is Struct {
  return typeof value === 'object' && value !== null && 'fields' in value && 'meaning' in value
}

const snakeCase = (name: string): string => name.replace(/[A-Z]/g, (c) => `_${c.toLowerCase()}`)

function table(head: readonly string[], rows: ReadonlyArray<readonly (string | number)[]>): string {
  const cell = (value: string | number) => String(value).replaceAll('|', '\\|')
  const line = (cells: readonly (string | number)[]) => `| ${cells.map(cell).join(' | ')} |`
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n')
}

function structTable(struct: Struct): string {
  const rows = struct.fields.map(({ name, offset, width, meaning }) => [
    offset,
    width,
    `\`${snakeCase(name)}\``,
    meaning,
  ])
  const title = `**${struct.name}**, ${struct.size} bytes: ${struct.meaning}.`
  return `${title}\n\n${table(['offset', 'bytes', 'field', 'meaning'], rows)}`
}

function magicTable(all: readonly Struct[]): string {
  const rows: string[][] = []
  for (const struct of all) {
    const field = struct.fields.find(({ name }) => name === 'magic')
    const text = /'([A-Z]{3}[0-9])'/.exec(field?.meaning ?? '')?.[1]
    if (text === undefined) continue
    const bytes = [...Buffer.from(text, 'latin1')].map((b) => b.toString(16).padStart(2, '0'))
    rows.push([struct.name, `\`${text}\``, `\`${bytes.join(' ')}\``])
  }
  return table(['structure', 'magic', 'bytes'], rows)
}

function kindTable(): string {
  const rows = Object.entries(RecordKinds).map(([name, kind]) => [
    kind.id,
    snakeCase(name).replaceAll('_', ' '),
    kind.keyWords,
    ...kind.words,
  ])
  return table(['kind', 'tree', 'key words', 'word 0', 'word 1', 'word 2', 'word 3'], rows)
}

/** Constants of a module with the comment above each; what has no comment shares the one before. */
async function constantTable(path: string): Promise<string> {
  const text = readFileSync(join(ROOT, path), 'utf8')
  const built = join(ROOT, 'build', path.replace(/\.ts$/, '.js'))
  const values = (await import(pathToFileURL(built).href)) as Record<string, unknown>
  const rows: string[][] = []
  let comment = ''
  let open = false
  for (const line of text.split('\n')) {
    if (line.startsWith('/**')) {
      comment = ''
      open = true
    }
    if (open) comment += ` ${line.replace(/^(\/\*\*| \*(?!\/))|\*\/$/g, '').trim()}`
    if (line.endsWith('*/')) {
      open = false
      comment = comment.replace(/\*\//, '').trim().replace(/\.$/, '')
    }
    const name = /^export const ([A-Z][A-Z0-9_]*) =/.exec(line)?.[1]
    if (name !== undefined && typeof values[name] === 'number') {
      rows.push([`\`${name}\``, String(values[name]), comment])
    }
    if (line === '') comment = ''
  }
  return table(['name', 'value', 'meaning'], rows)
}

/** Members of an object of numbers that a module exports, with the comment above each. */
async function memberTable(path: string, object: string, head: string): Promise<string> {
  const text = readFileSync(join(ROOT, path), 'utf8')
  const built = join(ROOT, 'build', path.replace(/\.ts$/, '.js'))
  const module = (await import(pathToFileURL(built).href)) as Record<string, unknown>
  const start = text.indexOf(`export const ${object} = {`)
  const body = text.slice(start, text.indexOf('} as const', start))
  const rows = Object.entries(module[object] as Record<string, number>).map(([name, value]) => {
    const above = new RegExp(`/\\*\\*((?:(?!\\*/)[^])*)\\*/\\s*${name}:`).exec(body)?.[1]
    if (above === undefined) throw new Error(`${object}.${name} in ${path} has no comment`)
    const meaning = above.replace(/\s*\n\s*\*?\s*/g, ' ').trim()
    return [value, `\`${snakeCase(name)}\``, meaning.replace(/\.$/, '')]
  })
  return table([head, 'name', 'meaning'], rows)
}

function errorTable(): string {
  const rows = Object.entries(ERRNO).map(([code, [number, text]]) => [`\`${code}\``, number, text])
  return table(['code', 'errno', 'meaning'], rows)
}

function findingTable(): string {
  const rows = Object.entries(FINDINGS).map(([code, text]) => [`\`${code}\``, text])
  return table(['code', 'meaning'], rows)
}

/** Every generated part by its name. */
export async function sections(): Promise<Map<string, string>> {
  const all = await structs()
  const made = new Map<string, string>()
  for (const struct of all) made.set(struct.name, structTable(struct))
  made.set('magic numbers', magicTable(all))
  made.set('record kinds', kindTable())
  const superblock = 'src/media/superblock.ts'
  made.set('incompatible features', await memberTable(superblock, 'Incompat', 'bit'))
  made.set('layout options', await memberTable(superblock, 'LayoutOption', 'bit'))
  made.set('inode flags', await memberTable('src/media/inode.ts', 'InodeFlag', 'value'))
  made.set('orphan kinds', await memberTable('src/media/tree_node.ts', 'OrphanKind', 'kind'))
  made.set('limits', await constantTable('src/base/limits.ts'))
  made.set('error codes', errorTable())
  made.set('fsck findings', findingTable())
  made.set('control limits', await constantTable('src/control/limits.ts'))
  for (const [name, text] of protocolSections()) made.set(name, text)
  return made
}

/**
 * A document with its generated parts made anew. Throws when it asks for one that does not exist.
 */
export function renew(text: string, made: ReadonlyMap<string, string>): string {
  const part = /<!-- generated: (.+?) -->\n(?:[\s\S]*?\n)??<!-- end -->/g
  return text.replace(part, (_, name: string) => {
    const body = made.get(name)
    if (body === undefined) throw new Error(`nothing is generated under the name '${name}'`)
    return `<!-- generated: ${name} -->\n\n${body}\n\n<!-- end -->`
  })
}

/** Names of the generated parts that a document has. */
export function partsOf(text: string): string[] {
  return [...text.matchAll(/<!-- generated: (.+?) -->/g)].map((found) => found[1]!)
}

async function main(check: boolean): Promise<void> {
  const made = await sections()
  for (const document of DOCUMENTS) {
    const path = join(ROOT, document)
    const text = readFileSync(path, 'utf8')
    const now = renew(text, made)
    if (now === text) continue
    if (check) {
      process.stderr.write(`${document} is out of date; run \`npm run spec\`\n`)
      process.exitCode = 1
    } else {
      writeFileSync(path, now)
      process.stdout.write(`wrote ${document}\n`)
    }
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  await main(process.argv.includes('--check'))
}
