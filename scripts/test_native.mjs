/**
 * Runs the addon's tests under AddressSanitizer and UndefinedBehaviorSanitizer, and compiles the
 * addon for arm64. Wants `npm run build` first, and cc with its sanitizers; for arm64
 * aarch64-linux-gnu-gcc.
 */
import { spawnSync } from 'node:child_process'
import { existsSync, readdirSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const build = join(root, 'scripts', 'build_native.mjs')
const compiler = process.env.CC || 'cc'
let failed = false

function run(what, command, args, env = process.env) {
  const { status, signal } = spawnSync(command, args, { cwd: root, env, stdio: 'inherit' })
  const good = status === 0
  process.stdout.write(`${what}: ${good ? 'ok' : `FAILED (${signal ?? `exit ${status}`})`}\n`)
  failed ||= !good
  return good
}

function skip(what, why) {
  process.stdout.write(`${what}: SKIPPED (${why})\n`)
}

function library(name) {
  const found = spawnSync(compiler, [`-print-file-name=${name}`], { encoding: 'utf8' })
  const path = found.status === 0 ? found.stdout.trim() : ''
  return path.startsWith('/') && existsSync(path) ? path : undefined
}

/** Takes every mapping that the kernel allows; a sanitizer ends when it gets none for itself. */
const TAKES_ALL = /^exhausted\./

function sanitized() {
  const preload = library('libasan.so')
  if (preload === undefined) return skip('tests under sanitizers', `${compiler} has no libasan.so`)
  if (!run('sanitized build', process.execPath, [build, '--sanitize'])) return
  const folder = join(root, 'build', 'test', 'native')
  const files = existsSync(folder)
    ? readdirSync(folder).filter((name) => name.endsWith('.test.js') && !TAKES_ALL.test(name))
    : []
  if (files.length === 0) {
    process.stdout.write(`tests under sanitizers: FAILED (no tests in ${folder}; npm run build)\n`)
    failed = true
    return
  }
  // The guard's own handlers must stay: the sanitizer would report the faults that it heals.
  const handlers = 'handle_segv=0:handle_sigbus=0:allow_user_segv_handler=1'
  run(
    'tests under sanitizers',
    process.execPath,
    ['--test', ...files.map((name) => join(folder, name))],
    {
      ...process.env,
      LD_PRELOAD: preload,
      ASAN_OPTIONS: `detect_leaks=0:${handlers}:use_sigaltstack=0:abort_on_error=1`,
      UBSAN_OPTIONS: 'print_stacktrace=1:halt_on_error=1',
      HOLDFAST_ADDON: join(root, 'build', 'native-asan', 'holdfast.node'),
    },
  )
}

function arm64() {
  const cross = spawnSync('aarch64-linux-gnu-gcc', ['--version'])
  if (cross.status !== 0) return skip('arm64 build', 'no aarch64-linux-gnu-gcc')
  run('arm64 build', process.execPath, [build, '--target', 'aarch64'])
}

sanitized()
arm64()
process.exit(failed ? 1 : 0)
