import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { MapFlag, native, type MemoryId } from '../../src/native/native.js'
import { mapped, pageBytes } from './support.js'

const folder = mkdtempSync(join(tmpdir(), 'holdfast-guard-'))
after(() => rmSync(folder, { recursive: true }))

const count = () => native.faultCounter[0] ?? 0

function expectFaults(memory: MemoryId, signal: string, offsets: number[]): void {
  assert.deepEqual(
    native.takeFaults().map((fault) => ({ ...fault, code: 0 })),
    offsets.map((offset) => ({ memory, offset, length: pageBytes, signal, code: 0 })),
  )
}

test('a view of a file that shrank reads zeros, and the fault is counted', () => {
  const { memory, shrink, close } = mapped(8 * pageBytes)
  const bytes = new Uint8Array(native.view(memory, 0, 8 * pageBytes)).fill(5)
  const before = count()
  shrink(6 * pageBytes)
  assert.equal(bytes[6 * pageBytes + 100], 0)
  assert.equal(count(), before + 1)
  bytes[7 * pageBytes] = 1
  assert.equal(bytes[7 * pageBytes], 1)
  assert.equal(count(), before + 2)
  assert.equal(bytes[6 * pageBytes - 1], 5)
  expectFaults(memory, 'SIGBUS', [6 * pageBytes, 7 * pageBytes])
  assert.deepEqual(native.takeFaults(), [])
  close()
})

test('every bulk call survives a file that shrank', () => {
  const commands = native.anonymous(pageBytes)
  new Uint32Array(native.view(commands, 0, 16)).set([1, 1, 0, 1])
  const target = new Uint8Array(2 * pageBytes)
  const calls: Record<string, (memory: MemoryId) => unknown> = {
    copyOut: (m) => native.copyOut(m, 0, target, 0, 2 * pageBytes),
    copyIn: (m) => native.copyIn(m, 0, target, 0, 2 * pageBytes),
    streamIn: (m) => native.streamIn(m, 0, target, 0, 2 * pageBytes),
    streamZero: (m) => native.streamZero(m, 0, 2 * pageBytes),
    zero: (m) => native.zero(m, 0, 2 * pageBytes),
    flush: (m) => native.flush(m, 0, 2 * pageBytes),
    evict: (m) => native.evict(m, 0, 2 * pageBytes),
    touch: (m) => native.touch(m, 0, 2 * pageBytes),
    store8: (m) => native.store8(m, pageBytes, 1, 2),
    crc32c: (m) => native.crc32c(m, 0, 2 * pageBytes, 0),
    gatherLines: (m) => native.gatherLines(m, 0, m, commands, 0, 1),
    writePages: (m) => native.writePages(m, m, commands, 0, 1, 1),
  }
  for (const [name, call] of Object.entries(calls)) {
    const { memory, shrink, close } = mapped(2 * pageBytes)
    new Uint8Array(native.view(memory, 0, pageBytes)).fill(7)
    shrink(pageBytes)
    const before = count()
    call(memory)
    assert.equal(count(), before + 1, name)
    expectFaults(memory, 'SIGBUS', [pageBytes])
    close()
  }
  native.unmap(commands)
})

test('what was never mapped reads zeros', () => {
  const memory = native.reserve(3 * pageBytes)
  const bytes = new Uint8Array(native.view(memory, 0, 3 * pageBytes))
  assert.equal(bytes[pageBytes + 5], 0)
  native.zero(memory, 2 * pageBytes, 1)
  expectFaults(memory, 'SIGSEGV', [pageBytes, 2 * pageBytes])
  native.unmap(memory)
})

test('a store into a read-only mapping does not reach the file', () => {
  const { fd, memory, close } = mapped(pageBytes)
  native.zero(memory, 0, pageBytes)
  const readOnly = native.reserve(pageBytes)
  native.map(readOnly, 0, fd, 0, pageBytes, MapFlag.read)
  native.store8(readOnly, 0, 1, 1)
  expectFaults(readOnly, 'SIGSEGV', [0])
  assert.equal(new Uint8Array(native.view(memory, 0, 8))[0], 0)
  native.unmap(readOnly)
  close()
})

test('the last 64 faults are kept and none is uncounted', () => {
  const memory = native.reserve(100 * pageBytes)
  native.takeFaults()
  const before = count()
  const bytes = new Uint8Array(native.view(memory, 0, 100 * pageBytes))
  let sum = 0
  for (let page = 0; page < 100; page++) sum += bytes[page * pageBytes] ?? 1
  assert.equal(sum, 0)
  assert.equal(count(), before + 100)
  expectFaults(
    memory,
    'SIGSEGV',
    Array.from({ length: 64 }, (_, i) => (36 + i) * pageBytes),
  )
  native.unmap(memory)
})

/** The types of Node 20 have no WebAssembly without the DOM's. */
interface WebAssemblyLike {
  Module: new (bytes: Uint8Array) => object
  Instance: new (module: object) => { exports: Record<string, (at: number) => number> }
  RuntimeError: new () => Error
}

test('WebAssembly still traps after the guard is installed', () => {
  const { WebAssembly } = globalThis as unknown as { WebAssembly: WebAssemblyLike }
  // (module (memory 1) (func (export "f") (param i32) (result i32) local.get 0 i32.load))
  const parts = [
    '0061736d01000000',
    '0106' + '0160017f017f',
    '0302' + '0100',
    '0503' + '010001',
    '0705' + '0101660000',
    '0a09' + '0107' + '00' + '2000' + '280200' + '0b',
  ]
  const module = new WebAssembly.Module(Buffer.from(parts.join(''), 'hex'))
  const load = new WebAssembly.Instance(module).exports['f']
  assert.ok(load)
  assert.equal(load(0), 0)
  assert.throws(() => load(1 << 20), WebAssembly.RuntimeError)
  assert.throws(() => load(-8), WebAssembly.RuntimeError)
})

const module = new URL('../../src/native/native.js', import.meta.url).href

/** Runs JavaScript in a child that has loaded the addon; `native` is in scope. */
function child(code: string) {
  const whole = `import { native } from ${JSON.stringify(module)}
    import { createRequire } from 'node:module'
    const require = createRequire('/')
    const memory = native.reserve(4096)
    ${code}`
  return spawnSync(process.execPath, ['--input-type=module', '-e', whole], { encoding: 'utf8' })
}

for (const signal of ['SIGSEGV', 'SIGBUS']) {
  test(`${signal} that somebody sends still kills`, () => {
    const { signal: end, stderr } = child(
      `process.kill(process.pid, '${signal}'); setTimeout(() => console.error('alive'), 2000)`,
    )
    assert.equal(end, signal, stderr)
  })
}

/** An addon that faults where no memory is. */
function compileFaults(): string | undefined {
  const source = join(folder, 'faults.c')
  const output = join(folder, 'faults.node')
  writeFileSync(
    source,
    `#define _GNU_SOURCE
     #include <node_api.h>
     #include <sys/mman.h>
     static napi_value segv(napi_env e, napi_callback_info i) {
       (void)e; (void)i;
       *(volatile int *)16 = 1;
       return 0;
     }
     static napi_value bus(napi_env e, napi_callback_info i) {
       (void)e; (void)i;
       *(volatile int *)mmap(0, 4096, 3, MAP_SHARED, memfd_create("x", 0), 0) = 1;
       return 0;
     }
     NAPI_MODULE_INIT() {
       napi_value f;
       napi_create_function(env, 0, 0, segv, 0, &f);
       napi_set_named_property(env, exports, "segv", f);
       napi_create_function(env, 0, 0, bus, 0, &f);
       napi_set_named_property(env, exports, "bus", f);
       return exports;
     }`,
  )
  const headers = (createRequire(import.meta.url)('node-api-headers') as { include_dir: string })
    .include_dir
  const built = spawnSync('cc', ['-O1', '-fPIC', '-shared', '-I', headers, '-o', output, source])
  return built.status === 0 ? output : undefined
}

test('a fault outside every memory still kills, by the signal that it is', (context) => {
  const faults = compileFaults()
  if (faults === undefined) {
    context.skip('no C compiler')
    return
  }
  for (const [name, signal] of [
    ['segv', 'SIGSEGV'],
    ['bus', 'SIGBUS'],
  ]) {
    const code = `const faults = require(${JSON.stringify(faults)})
      native.zero(memory, 0, 8)
      console.log(native.takeFaults().length)
      faults.${name}()`
    const { signal: end, stdout, stderr } = child(code)
    assert.equal(end, signal, stderr)
    assert.equal(stdout.trim(), '1')
  }
})
