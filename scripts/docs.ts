/**
 * The manual pages, made from the declarations of the command line.
 *
 *     node build/scripts/docs.js [--check]     writes docs/man/, or says what is out of date
 */
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { manualPages } from '../src/cli/manual/pages.js'
import { buildProgram } from '../src/cli/program.js'

/** From build/scripts. */
const ROOT = dirname(dirname(dirname(fileURLToPath(import.meta.url))))
export const MAN_DIRECTORY = join(ROOT, 'docs', 'man')

/** Pages that are not what they should be, by their file names. */
export async function outdated(): Promise<Map<string, string | null>> {
  const wanted = manualPages(await buildProgram())
  const found = new Map<string, string | null>()
  mkdirSync(MAN_DIRECTORY, { recursive: true })
  const there = readdirSync(MAN_DIRECTORY)
  for (const [name, text] of wanted) {
    const now = there.includes(name) ? readFileSync(join(MAN_DIRECTORY, name), 'utf8') : null
    if (now !== text) found.set(name, text)
  }
  for (const name of there) if (!wanted.has(name)) found.set(name, null)
  return found
}

async function main(check: boolean): Promise<void> {
  for (const [name, text] of await outdated()) {
    if (check) {
      process.stderr.write(`docs/man/${name} is out of date; run \`npm run docs\`\n`)
      process.exitCode = 1
    } else if (text === null) rmSync(join(MAN_DIRECTORY, name))
    else writeFileSync(join(MAN_DIRECTORY, name), text)
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await main(process.argv.includes('--check'))
