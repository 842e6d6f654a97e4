/** The files of the tree, as the tidy tests read them. */
import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import ts from 'typescript'

/** From build/test/tidy. */
export const ROOT = dirname(dirname(dirname(dirname(fileURLToPath(import.meta.url)))))

export interface Source {
  /** From the root, with slashes. */
  readonly path: string
  readonly text: string
}

export function readSource(path: string): Source {
  return { path, text: readFileSync(join(ROOT, path), 'utf8') }
}

/** All files below the directories whose name ends in one of `endings`. */
export function sources(directories: readonly string[], endings: readonly string[]): Source[] {
  const found: Source[] = []
  for (const directory of directories) {
    const entries = readdirSync(join(ROOT, directory), { recursive: true, withFileTypes: true })
    for (const entry of entries) {
      if (entry.parentPath.includes('/node_modules')) continue
      if (!entry.isFile() || !endings.some((ending) => entry.name.endsWith(ending))) continue
      found.push(readSource(relative(ROOT, join(entry.parentPath, entry.name))))
    }
  }
  return found.sort((a, b) => (a.path < b.path ? -1 : 1))
}

/** Everything written by hand that is code. */
export function code(): Source[] {
  return sources(['src', 'test', 'scripts', 'bench', 'examples'], ['.ts', '.mjs', '.c', '.h'])
}

export const isTypeScript = (source: Source): boolean => /\.(ts|mjs)$/.test(source.path)

export function parse(source: Source): ts.SourceFile {
  return ts.createSourceFile(source.path, source.text, ts.ScriptTarget.Latest, true)
}

/** Line number of a node, from 1. */
export function lineOf(file: ts.SourceFile, node: ts.Node): number {
  return file.getLineAndCharacterOfPosition(node.getStart(file)).line + 1
}

export function walk(node: ts.Node, visit: (node: ts.Node) => void): void {
  visit(node)
  ts.forEachChild(node, (child) => walk(child, visit))
}
