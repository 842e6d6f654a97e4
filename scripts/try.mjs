/**
 * The main job, once: a volume in memory, a real directory tree in it, listed, copied out and
 * compared, checked. Prints each command as it runs it, and leaves nothing behind.
 */
import { spawnSync } from 'node:child_process'
import { existsSync, lstatSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
const main = join(root, 'build/src/cli/main.js')
const memory = existsSync('/dev/shm') ? '/dev/shm' : tmpdir()
const directory = mkdtempSync(join(memory, 'holdfast-try-'))
const region = join(directory, 'try.hf')
const copy = join(directory, 'copy')

if (!existsSync(main)) {
  console.error('build/ is missing: run `npm ci` first')
  process.exit(1)
}

/** Runs one command, shown as one would type it; what it prints follows. */
function holdfast(...args) {
  console.log(`\n$ npx holdfast ${args.join(' ')}`)
  const { status, signal } = spawnSync(process.execPath, [main, ...args], {
    cwd: root,
    stdio: 'inherit',
  })
  if (status !== 0) throw new Error(`holdfast ${args[0]} ended with ${signal ?? status}`)
}

/** Compares two trees byte for byte; returns files and bytes. Throws at the first difference. */
function compare(left, right) {
  const total = { files: 0, bytes: 0 }
  const names = readdirSync(left).filter((name) => !lstatSync(join(left, name)).isSymbolicLink())
  const others = readdirSync(right)
  if (names.sort().join('\0') !== others.sort().join('\0')) {
    throw new Error(`${left} and ${right} have different names in them`)
  }
  for (const name of names) {
    const [a, b] = [join(left, name), join(right, name)]
    if (lstatSync(a).isDirectory()) {
      const below = compare(a, b)
      total.files += below.files
      total.bytes += below.bytes
      continue
    }
    const bytes = readFileSync(a)
    if (!bytes.equals(readFileSync(b))) throw new Error(`${a} and ${b} differ`)
    total.files++
    total.bytes += bytes.length
  }
  return total
}

const started = performance.now()
try {
  holdfast('mkfs', '--size', '256M', '--label', 'try', region)
  holdfast('cp', '-r', 'src', 'node_modules/typescript', `${region}:/`)
  holdfast('ls', '-l', `${region}:/src/volume`)
  holdfast('extents', `${region}:/typescript/lib/typescript.js`)
  holdfast('cp', '-r', `${region}:/`, copy)
  for (const name of ['src', 'node_modules/typescript']) {
    const { files, bytes } = compare(join(root, name), join(copy, name.split('/').at(-1)))
    console.log(`${name}: ${files} files, ${bytes} bytes, the same after the way in and out`)
  }
  holdfast('seed', `${region}:/big`, '64M', '42')
  holdfast('verify', `${region}:/big`, '42', '--size', '64M')
  holdfast('fsck', region)
  holdfast('info', region)
  console.log(
    `\nAll of it in ${((performance.now() - started) / 1000).toFixed(1)} s; nothing is left behind.`,
  )
} catch (error) {
  console.error(`\n${error.message}`)
  process.exitCode = 1
} finally {
  rmSync(directory, { recursive: true, force: true })
}
