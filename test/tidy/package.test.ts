import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { createServer, type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { readSource, ROOT } from './sources.js'

interface Lock {
  readonly packages: Record<string, { version?: string; resolved?: string; integrity?: string }>
}

interface Package {
  readonly name: string
  readonly version: string
  readonly bin: Record<string, string>
  readonly exports: Record<string, Record<string, string>>
  readonly dependencies: Record<string, string>
  readonly devDependencies: Record<string, string>
}

const manifest = JSON.parse(readSource('package.json').text) as Package

test('package-lock.json names no host, and every package in it has a digest', () => {
  const { text } = readSource('package-lock.json')
  assert.doesNotMatch(text, /"resolved":\s*"https?:/)
  const { packages } = JSON.parse(text) as Lock
  const found = Object.entries(packages).filter(([path]) => path !== '')
  assert.ok(found.length > 10)
  for (const [path, { integrity }] of found) assert.match(integrity ?? '', /^sha512-/, path)
})

test('every dependency is pinned to one version, the one in package-lock.json', () => {
  const { packages } = JSON.parse(readSource('package-lock.json').text) as Lock
  for (const [name, version] of Object.entries({
    ...manifest.dependencies,
    ...manifest.devDependencies,
  })) {
    assert.match(version, /^\d+\.\d+\.\d+$/, name)
    assert.equal(packages[`node_modules/${name}`]?.version, version, name)
  }
})

test('every dependency has its reason in docs/DESIGN.md', () => {
  const { text } = readSource('docs/DESIGN.md')
  for (const name of [
    ...Object.keys(manifest.dependencies),
    ...Object.keys(manifest.devDependencies),
  ]) {
    assert.ok(text.includes(`\`${name}\``), `docs/DESIGN.md does not say why ${name} is needed`)
  }
})

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}

/** The package as others get it: packed, unpacked beside its dependencies, built, run. */
describe('the packed package', () => {
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-pack-'))
  const installed = join(folder, 'node_modules', manifest.name)

  function run(command: string, args: string[], cwd: string): string {
    const done = spawnSync(command, args, { cwd, encoding: 'utf8', timeout: 300_000 })
    assert.equal(done.status, 0, `${command} ${args.join(' ')}: ${done.stdout}${done.stderr}`)
    return done.stdout
  }

  /** Serves a volume at the port, with what the program of a client reads; what stops it. */
  async function serve(port: number): Promise<() => Promise<void>> {
    const bin = join(installed, manifest.bin['holdfast']!)
    const holdfast = (...args: string[]) => run(process.execPath, [bin, ...args], folder)
    holdfast('mkfs', '--size', '16M', 'served.hf')
    holdfast('seed', 'served.hf:/weights', '2M', '1')
    holdfast('keys', 'make', '--id', 'readme', '--uid', '0', 'keys')
    const places = ['--socket', 'socket', '--listen', `127.0.0.1:${port}`, '--keys', 'keys']
    const server = spawn(process.execPath, [bin, 'serve', ...places, 'served.hf'], { cwd: folder })
    await once(server.stdout, 'data')
    return async () => {
      server.kill()
      const [status] = (await once(server, 'exit')) as [number]
      assert.equal(status, 0)
    }
  }

  before(() => {
    run('npm', ['pack', '--ignore-scripts', '--silent', '--pack-destination', folder], ROOT)
    const tarball = readdirSync(folder).find((name) => name.endsWith('.tgz'))
    assert.ok(tarball !== undefined, 'npm pack made a tarball')
    // Unpacked as npm would, with the dependencies of this checkout: no network is needed.
    mkdirSync(installed, { recursive: true })
    run('tar', ['xzf', join(folder, tarball), '--strip-components=1', '-C', installed], folder)
    for (const name of Object.keys(manifest.dependencies)) {
      const from = join(ROOT, 'node_modules', name)
      cpSync(from, join(folder, 'node_modules', name), { recursive: true })
    }
    run(process.execPath, [join('scripts', 'build_native.mjs')], installed)
  })

  after(() => rmSync(folder, { recursive: true, force: true }))

  test('holds what its package.json names, and no tests', () => {
    const entries = Object.values(manifest.exports).flatMap((entry) => Object.values(entry))
    assert.equal(
      entries.length,
      6,
      'types and code: the filesystem, holdfast/rdma, holdfast/client',
    )
    for (const path of [...Object.values(manifest.bin), ...entries]) {
      assert.ok(readFileSync(join(installed, path)).length > 0, path)
    }
    assert.deepEqual(readdirSync(installed).sort(), [
      'CHANGELOG.md',
      'LICENSE',
      'README.md',
      'build',
      'docs',
      'package.json',
      'scripts',
      'src',
    ])
    assert.deepEqual(readdirSync(join(installed, 'build')).sort(), ['native', 'src'])
  })

  test('keeps a file from one mount to the next', () => {
    const program = join(folder, 'program.mjs')
    writeFileSync(
      program,
      `import { createVolume, openVolume } from '${manifest.name}'
const path = '${join(folder, 'region.hf')}'
createVolume(path, 4 * 1024 * 1024)
const first = openVolume(path)
first.writeFile('/hello', Buffer.from('kept'))
first.close()
const second = openVolume(path)
process.stdout.write(second.readFile('/hello'))
second.close()
`,
    )
    assert.equal(run(process.execPath, [program], folder), 'kept')
  })

  test('has a client that is whole without the filesystem', () => {
    const bare = join(folder, 'bare', 'node_modules', manifest.name)
    cpSync(installed, bare, { recursive: true })
    for (const layer of ['volume', 'layout', 'check', 'repair', 'serve', 'cli']) {
      rmSync(join(bare, 'build', 'src', layer), { recursive: true })
    }
    const program = join(folder, 'bare', 'program.mjs')
    writeFileSync(
      program,
      `import { connect } from '${manifest.name}/client'
const error = await connect('/nowhere/at/all').catch((error) => error)
process.stdout.write(error.code)
`,
    )
    assert.equal(run(process.execPath, [program], join(folder, 'bare')), 'ENOENT')
  })

  test('runs the programs of README.md, which are right to a strict compiler', async () => {
    const programs = [...readSource('README.md').text.matchAll(/^```ts\n(.*?)^```$/gms)]
    assert.deepEqual(
      programs.map((found) => /'holdfast[^']*'/.exec(found[1]!)![0]),
      ["'holdfast'", "'holdfast/client'", "'holdfast/rdma'"],
    )
    const port = await freePort()
    const stop = await serve(port)
    const names = programs.map((found, i) => {
      const text = found[1]!
        .replaceAll('/dev/shm/models.hf', join(folder, 'models.hf'))
        .replaceAll('7174', `${port}`)
      writeFileSync(join(folder, `readme${i}.mts`), text)
      return `readme${i}`
    })
    const options = {
      strict: 'true',
      module: 'nodenext',
      target: 'es2022',
      lib: 'es2023,esnext.disposable',
      types: 'node',
      typeRoots: join(ROOT, 'node_modules', '@types'),
    }
    const flags = Object.entries(options).flatMap(([name, value]) => [`--${name}`, value])
    const tsc = join(ROOT, 'node_modules', 'typescript', 'bin', 'tsc')
    run(process.execPath, [tsc, ...flags, ...names.map((name) => `${name}.mts`)], folder)
    const print = (name: string) => run(process.execPath, [`${name}.mjs`], folder)
    assert.match(print(names[0]!), /^67108864\n/)
    assert.equal(print(names[1]!), `${2 << 20}\n`)
    await stop()
    assert.match(print(names[2]!), /^Uint8Array\(5\) \[ 104, 101, 108, 108, 111 \]\n$/)
  })

  test('has a command line that tells its version', () => {
    const bin = join(installed, manifest.bin['holdfast']!)
    assert.equal(run(process.execPath, [bin, '--version'], folder).trim(), manifest.version)
  })
})
