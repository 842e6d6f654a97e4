/** Programs in C that tests need: compiled when they are, whole or not there. */
import { execFileSync, spawnSync } from 'node:child_process'
import { mkdirSync, renameSync } from 'node:fs'
import { dirname, join } from 'node:path'

const compiler = process.env['CC'] ?? 'cc'

/** Why nothing can be compiled here; false: it can. */
export function noCompiler(): string | false {
  return spawnSync(compiler, ['--version'], { stdio: 'ignore' }).status === 0
    ? false
    : 'no C compiler'
}

/** Compiles `test/…/name.c`; the path of what came of it. */
export function compile(source: string, ...flags: string[]): string {
  const output = join('build', source.replace(/\.c$/, ''))
  const made = `${output}.${process.pid}`
  mkdirSync(dirname(output), { recursive: true })
  const all = ['-Wall', '-Wextra', '-Werror', '-O1', ...flags, '-o', made, source]
  execFileSync(compiler, all, { stdio: 'inherit' })
  renameSync(made, output)
  return output
}

/** A library that programs load before others (LD_PRELOAD), by its absolute path. */
export function compileLibrary(source: string): string {
  return join(process.cwd(), compile(source, '-shared', '-fPIC', '-ldl'))
}
