/**
 * The generated parts of docs/PROTOCOL.md: verbs, notices and types of the control protocol, from
 * their schemas, in the language of XDR (RFC 4506, section 6).
 */
import { NOTICES } from '../src/control/notices.js'
import type { Schema } from '../src/control/schema.js'
import { credentials, failure } from '../src/control/types.js'
import { VERBS } from '../src/control/verbs/index.js'

const typeOf = (schema: Schema<unknown>): string => schema.declare('').trim()

/** Definitions of all types that some schemas use, each behind those that it uses itself. */
export function definitions(schemas: readonly Schema<unknown>[]): string[] {
  const found = new Map<string, string>()
  const visit = (schema: Schema<unknown>) => {
    for (const used of schema.uses) visit(used)
    const { definition } = schema
    if (definition === undefined) return
    const name = typeOf(schema)
    if ((found.get(name) ?? definition) !== definition) {
      throw new Error(`two types of the protocol are called ${name}`)
    }
    found.set(name, definition)
  }
  for (const schema of schemas) visit(schema)
  return [...found.values()]
}

const table = (head: readonly string[], rows: readonly (readonly string[])[]) =>
  [head, head.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`).join('\n')

const code = (schema: Schema<unknown>) => `\`${typeOf(schema)}\``
const verbs = Object.values(VERBS).sort((a, b) => a.number - b.number)
const notices = Object.values(NOTICES).sort((a, b) => a.number - b.number)

function verbTable(): string {
  const rows = verbs.map(({ number, title, about, args, result, inNameOf }) => [
    String(number),
    inNameOf ? `${title} †` : title,
    code(args),
    code(result),
    about,
  ])
  return table(['number', 'verb', 'arguments', 'result', 'what it does'], rows)
}

function noticeTable(): string {
  const rows = notices.map(({ number, title, about, body }) => [
    String(number),
    title,
    code(body),
    about,
  ])
  return table(['number', 'notice', 'body', 'what it says'], rows)
}

export function xdrText(): string {
  const said = verbs.flatMap(({ args, result }) => [args, result])
  const told = notices.map(({ body }) => body)
  return definitions([credentials, failure, ...said, ...told]).join('\n\n')
}

export function protocolSections(): [string, string][] {
  return [
    ['control verbs', verbTable()],
    ['control notices', noticeTable()],
    ['control types', `\`\`\`c\n${xdrText()}\n\`\`\``],
  ]
}
