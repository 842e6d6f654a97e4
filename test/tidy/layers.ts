/**
 * Who may import whom. The same table stands in docs/DESIGN.md under "The layers"; a test compares
 * the two.
 */
import { dirname, join, normalize } from 'node:path/posix'
import ts from 'typescript'
import { lineOf, parse, walk, type Source } from './sources.js'

export interface Layer {
  readonly imports: readonly string[]
  /** Whether it may ask Node itself (node:fs and the like): time, chance and files are inputs. */
  readonly node: boolean
}

const ALL = [
  'base',
  'native',
  'region',
  'media',
  'mapping',
  'volume',
  'layout',
  'check',
  'repair',
  'rdma',
  'control',
  'fuse',
  'client',
  'serve',
  'cli',
]
/** All but what stands above the server, or beside it. */
const BELOW_SERVE = ALL.filter((name) => !['client', 'serve', 'cli'].includes(name))

export const LAYERS: Readonly<Record<string, Layer>> = {
  base: { imports: [], node: true },
  native: { imports: ['base'], node: true },
  region: { imports: ['base', 'native'], node: true },
  media: { imports: ['base'], node: false },
  mapping: { imports: ['base', 'native', 'region'], node: true },
  volume: { imports: ['base', 'region', 'media', 'native', 'mapping'], node: false },
  layout: { imports: ['base', 'region', 'media', 'volume', 'mapping'], node: false },
  check: { imports: ['base', 'region', 'media'], node: false },
  repair: { imports: ['base', 'region', 'media', 'native', 'volume', 'check'], node: false },
  rdma: { imports: ['base', 'native'], node: false },
  control: { imports: ['base'], node: false },
  fuse: { imports: ['base', 'native'], node: true },
  client: {
    imports: ['base', 'native', 'region', 'media', 'mapping', 'rdma', 'control'],
    node: true,
  },
  serve: { imports: BELOW_SERVE, node: true },
  cli: { imports: ALL, node: true },
}

/** The public entries: what they export is the package. */
export const ENTRIES: readonly string[] = [
  'src/index.ts',
  'src/rdma/index.ts',
  'src/client/index.ts',
]

/** Files that stand apart from their layer, each with what it may do beyond it. */
export const EXCEPTIONS: ReadonlyMap<string, { readonly node: boolean }> = new Map([
  // Opens volumes by their path: looks at the file before anything is a region.
  ['src/layout/embedded.ts', { node: true }],
])

export interface Import {
  readonly line: number
  readonly target: string
}

/** Every way in which a module names another: import, export from, import(), import types. */
export function importsOf(source: Source): Import[] {
  const file = parse(source)
  const found: Import[] = []
  const add = (node: ts.Node, name: ts.Node | undefined) => {
    if (name !== undefined && ts.isStringLiteralLike(name)) {
      found.push({ line: lineOf(file, node), target: name.text })
    }
  }
  walk(file, (node) => {
    if (ts.isImportDeclaration(node) || ts.isExportDeclaration(node))
      add(node, node.moduleSpecifier)
    else if (ts.isImportTypeNode(node) && ts.isLiteralTypeNode(node.argument)) {
      add(node, node.argument.literal)
    } else if (ts.isCallExpression(node)) {
      const called = node.expression
      const dynamic = called.kind === ts.SyntaxKind.ImportKeyword
      if (dynamic || (ts.isIdentifier(called) && called.text === 'require')) {
        add(node, node.arguments[0])
      }
    }
  })
  return found
}

/** What the imports of a file under src/ break, as sentences. */
export function brokenLayers(source: Source): string[] {
  if (ENTRIES.includes(source.path)) return []
  const name = source.path.split('/')[1]!
  const layer = LAYERS[name]
  if (layer === undefined) return [`${source.path}: ${name} is no layer of docs/DESIGN.md`]
  const broken: string[] = []
  for (const { line, target } of importsOf(source)) {
    const why = forbidden(source.path, name, layer, target)
    if (why !== null) broken.push(`${source.path}:${line}: ${why}`)
  }
  return broken
}

function forbidden(path: string, name: string, layer: Layer, target: string): string | null {
  if (!target.startsWith('.')) {
    if (!target.startsWith('node:')) return name === 'cli' ? null : `${name} imports ${target}`
    const node = layer.node || EXCEPTIONS.get(path)?.node === true
    return node ? null : `${name} imports ${target}; it gets time, chance and files handed in`
  }
  const file = normalize(join(dirname(path), target))
  if (!file.startsWith('src/')) return `${name} imports ${file}, which is not in src`
  const other = file.split('/')[1]!
  if (other === name || layer.imports.includes(other)) return null
  const allowed = layer.imports.join(', ') || 'nothing'
  return `${name} imports ${other} (${target}); it may import ${allowed}`
}

/** The table as it is to stand in docs/DESIGN.md. */
export function layerRows(): string[] {
  return Object.entries(LAYERS).map(([name, { imports, node }]) => {
    const some = imports === BELOW_SERVE ? 'all but cli, client' : imports.join(' ') || 'nothing'
    const listed = imports.length === ALL.length ? 'all' : some
    return `| ${name} | ${listed} | ${node ? 'yes' : 'no'} |`
  })
}
