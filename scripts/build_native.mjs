/**
 * Compiles src/native/*.c into build/native/holdfast.node with plain `cc`. npm runs it at install.
 *
 *   node scripts/build_native.mjs                    for this machine
 *   node scripts/build_native.mjs --sanitize         with ASan and UBSan, into build/native-asan
 *   node scripts/build_native.mjs --target aarch64   cross-compiled, into build/native-arm64
 */
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdirSync, readFileSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const sourceDirectory = join(root, 'src', 'native')

const flags = [
  '-std=gnu11',
  '-O2',
  '-fPIC',
  '-shared',
  '-pthread',
  '-Wall',
  '-Wextra',
  '-Wshadow',
  '-Wstrict-prototypes',
  '-Wvla',
  '-Werror',
  '-fvisibility=hidden',
  '-fno-strict-aliasing',
  '-DNAPI_VERSION=8',
  // The fault handler outlives whoever loaded the addon: a worker that ends must not unload it.
  '-Wl,-z,nodelete',
  '-Wl,-z,relro',
  '-Wl,-z,now',
]

function fail(line) {
  process.stderr.write(`${line}\n`)
  process.exit(1)
}

function findCompiler(candidates) {
  for (const name of candidates) {
    const found = spawnSync(name, ['--version'], { encoding: 'utf8' })
    if (found.status === 0) return { name, version: found.stdout.split('\n')[0] }
  }
  return undefined
}

/** What decides the result: an equal digest means that there is nothing to do. */
function digestOf(compiler, options, files) {
  const hash = createHash('sha256')
  hash.update(JSON.stringify([compiler, options, process.arch]))
  for (const file of files) hash.update(`\0${relative(root, file)}\0`).update(readFileSync(file))
  return hash.digest('hex')
}

function readOrEmpty(path) {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}

const { values } = parseArgs({
  options: {
    sanitize: { type: 'boolean', default: false },
    target: { type: 'string' },
  },
})
if (values.target !== undefined && values.target !== 'aarch64') {
  fail(`--target ${values.target} is unknown; use --target aarch64`)
}
const cross = values.target === 'aarch64'
const folder = cross ? 'native-arm64' : values.sanitize ? 'native-asan' : 'native'
const output = join(root, 'build', folder, 'holdfast.node')
const digestPath = join(root, 'build', folder, 'holdfast.sha256')

const compiler = findCompiler(
  cross ? ['aarch64-linux-gnu-gcc'] : [process.env.CC, 'cc', 'gcc', 'clang'].filter(Boolean),
)
if (compiler === undefined) {
  const packages = cross ? 'gcc-aarch64-linux-gnu libc6-dev-arm64-cross' : 'gcc libc6-dev'
  fail(`no C compiler for the native addon; run \`apt-get install ${packages}\` and repeat`)
}

let headers
try {
  headers = createRequire(import.meta.url)('node-api-headers').include_dir
} catch {
  fail('the npm package node-api-headers is missing; run `npm install`')
}

const names = readdirSync(sourceDirectory).sort()
const sources = names.filter((name) => name.endsWith('.c')).map((n) => join(sourceDirectory, n))
const includes = names.filter((name) => name.endsWith('.h')).map((n) => join(sourceDirectory, n))
const options = [
  ...flags,
  ...(values.sanitize
    ? [
        '-g',
        '-fsanitize=address,undefined',
        '-fno-sanitize-recover=undefined',
        '-fno-omit-frame-pointer',
      ]
    : []),
]
const digest = digestOf(compiler, [...options, headers], [...sources, ...includes])
if (readOrEmpty(digestPath) === digest && readOrEmpty(output) !== '') process.exit(0)

mkdirSync(dirname(output), { recursive: true })
// Made aside and renamed: a process that has the old one loaded keeps it whole.
const temporary = `${output}.${process.pid}`
const built = spawnSync(
  compiler.name,
  [...options, '-isystem', headers, '-I', sourceDirectory, '-o', temporary, ...sources],
  { stdio: 'inherit' },
)
if (built.status !== 0) {
  rmSync(temporary, { force: true })
  fail(
    `${compiler.name} could not compile the native addon` +
      (cross ? '' : '; if headers are missing, run `apt-get install gcc libc6-dev`'),
  )
}
renameSync(temporary, output)
writeFileSync(digestPath, digest)
process.stdout.write(`built ${relative(root, output)} with ${compiler.version}\n`)
