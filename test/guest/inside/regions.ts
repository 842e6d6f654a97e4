/** What is special to regions on persistent memory, as tests; on an NVDIMM that nobody has used. */
import assert from 'node:assert/strict'
import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, readFileSync, rmSync, symlinkSync, truncateSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { native } from '../../../src/native/native.js'
import { createRegion, openRegion } from '../../../src/region/file_region.js'
import { createVolume, inspectVolume, openVolume } from '../../../src/layout/embedded.js'
import { done } from '../../cli/support.js'
import {
  mountFilesystem,
  unmountFilesystem,
  type DaxFilesystem,
  type PersistentMemory,
} from './namespaces.js'

const MIB = 1 << 20
const EMBEDDED = new URL('../../../src/layout/embedded.js', import.meta.url).href

/** What sysfs says of a device-DAX node. */
function attribute(node: string, name: string): number {
  return Number(readFileSync(`/sys/bus/dax/devices/${node.replace('/dev/', '')}/${name}`, 'utf8'))
}

/** Zeros, as nobody has written there. */
function wipe(path: string, bytes = 2 * MIB): void {
  const region = openRegion(path)
  region.streamZero(0, bytes)
  region.fence()
  region.close()
}

export function testDevDax({ dax }: PersistentMemory): void {
  test('mkfs makes a new device a volume, and fsck checks it', async () => {
    const made = await done('mkfs', '--label', 'first', dax)
    assert.match(made.out, /'first'.* on devdax, sync always\n$/)
    const volume = openVolume(dax)
    volume.writeFile('/file', Buffer.alloc(3 * MIB, 'content'))
    volume.close()
    const { regionKind, persistence, regionBytes } = inspectVolume(dax)
    assert.deepEqual(
      [regionKind, persistence, regionBytes],
      ['devdax', 'flush', attribute(dax, 'size')],
    )
    await done('fsck', dax)
  })

  test('mkfs overwrites neither a volume nor foreign content, and takes a wiped device', () => {
    assert.throws(() => createVolume(dax, 0), { code: 'EEXIST', message: /'first'.*--force/ })
    wipe(dax)
    const region = openRegion(dax)
    region.stream(0x438, Buffer.from([0x53, 0xef]), 0, 2)
    region.close()
    assert.throws(() => createVolume(dax, 0), { code: 'EEXIST', message: /not empty.*--force/ })
    assert.throws(() => openVolume(dax), { code: 'ENODEV', message: /mkfs/ })
    wipe(dax)
    createVolume(dax, 0, { label: 'second' })
    createVolume(dax, 0, { label: 'third', force: true })
    assert.equal(inspectVolume(dax).label, 'third')
  })

  test('the region is the device: all of it, mapped in its alignment', () => {
    const region = openRegion(dax)
    assert.deepEqual(
      [region.kind, region.persistence, region.grain, region.byteLength],
      ['devdax', 'flush', attribute(dax, 'align'), attribute(dax, 'size')],
    )
    assert.equal(region.grain, 2 * MIB)
    assert.ok(native.canMapSync(region.fd))
    const last = region.byteLength - 8
    region.store8(last, 0x1234_5678, 0x9abc_def0)
    region.flush(last, 8)
    region.fence()
    region.close()
    const again = openRegion(dax, { readOnly: true })
    const bytes = new Uint8Array(8)
    again.read(last, bytes, 0, 8)
    again.close()
    assert.equal(Buffer.from(bytes).toString('hex'), '78563412f0debc9a')
  })

  test('--size takes the first part of a device; more than it has is EINVAL', () => {
    createVolume(dax, 32 * MIB, { force: true })
    assert.equal(inspectVolume(dax).blocks, 8192)
    const volume = openVolume(dax)
    volume.writeFile('/a', Buffer.alloc(MIB, 1))
    volume.close()
    const size = attribute(dax, 'size')
    assert.throws(() => createVolume(dax, 2 * size, { force: true }), {
      code: 'EINVAL',
      message: new RegExp(`has ${size} bytes`),
    })
  })
}

export function testDevDaxNode({ dax, devices }: PersistentMemory): void {
  test('one process owns a device, until it is killed', async () => {
    createVolume(dax, 0, { force: true })
    const program = `
      const { openVolume } = await import(${JSON.stringify(EMBEDDED)})
      openVolume(${JSON.stringify(dax)}).writeFile('/of-the-owner', Buffer.from('here'))
      console.log('ready')
      process.stdin.resume()`
    const child = spawn(process.execPath, ['--input-type=module', '-e', program], {
      stdio: ['pipe', 'pipe', 'inherit'],
    })
    await once(child.stdout, 'data')
    const owned = { code: 'EBUSY', message: new RegExp(`process ${child.pid} \\(node\\)`) }
    symlinkSync(dax, '/tmp/link')
    for (const path of [dax, '/tmp/link']) assert.throws(() => openVolume(path), owned)
    child.kill('SIGKILL')
    await once(child, 'exit')
    const volume = openVolume('/tmp/link')
    assert.equal(Buffer.from(volume.readFile('/of-the-owner')).toString(), 'here')
    volume.close()
  })

  test('another node of the same device is the same region', () => {
    const [major, minor] = readFileSync(
      `/sys/bus/dax/devices/${dax.replace('/dev/', '')}/dev`,
      'utf8',
    ).split(':')
    execFileSync('mknod', ['/dev/another', 'c', major!, minor!.trim()])
    assert.equal(inspectVolume('/dev/another').uuid, inspectVolume(dax).uuid)
    rmSync('/dev/another')
  })

  test('what is no device-DAX node says so', () => {
    assert.throws(() => openRegion('/dev/zero'), { code: 'ENODEV', message: /no device-DAX node/ })
    assert.throws(() => openRegion(devices.ext4), {
      code: 'ENODEV',
      message: /block device.*--mode devdax/,
    })
    assert.throws(() => openRegion('/dev/dax7.7'), { code: 'ENOENT' })
  })
}

export function testFsDax(memory: PersistentMemory, type: DaxFilesystem, directory: string): void {
  describe(`a file on ${type}`, () => {
    const path = join(directory, 'region')

    test('is fsdax where it is mounted with DAX, and an ordinary file where not', () => {
      createVolume(path, 16 * MIB)
      const region = openRegion(path)
      assert.deepEqual(
        [region.kind, region.persistence, region.grain, region.byteLength],
        ['fsdax', 'flush', 4096, 16 * MIB],
      )
      assert.ok(native.canMapSync(region.fd))
      region.close()
      const content = Buffer.alloc(100_000, 'content')
      const volume = openVolume(path)
      volume.writeFile('/written with DAX', content)
      volume.close()
      unmountFilesystem(type)
      mountFilesystem(memory, type, 'never')
      const cached = openVolume(path)
      assert.deepEqual([cached.region.kind, cached.region.persistence], ['file', 'sync'])
      assert.deepEqual(Buffer.from(cached.readFile('/written with DAX')), content)
      cached.writeFile('/written without', content)
      cached.close()
      unmountFilesystem(type)
      mountFilesystem(memory, type)
      const again = openVolume(path)
      assert.equal(again.region.kind, 'fsdax')
      assert.deepEqual(Buffer.from(again.readFile('/written without')), content)
      again.close()
    })

    test('that does not fit is ENOSPC before any of it is there, and not left behind', () => {
      const large = join(directory, 'large')
      assert.throws(() => createVolume(large, 1024 * MIB), { code: 'ENOSPC', message: /left on/ })
      assert.ok(!existsSync(large))
    })

    test('with holes, on a filesystem that is full, is EIO at the store that finds no block', () => {
      const sparse = join(directory, 'sparse')
      execFileSync('sh', ['-c', `: > ${sparse}`])
      truncateSync(sparse, 1024 * MIB)
      const region = openRegion(sparse)
      assert.equal(region.kind, 'fsdax')
      const fill = () => {
        for (let offset = 0; offset < region.byteLength; offset += MIB) {
          region.streamZero(offset, MIB)
          region.check()
        }
      }
      assert.throws(fill, { code: 'EIO', message: /SIGBUS/ })
      region.close()
      rmSync(sparse)
    })

    test('that is cut short while it is open is EIO', () => {
      const region = createRegion(join(directory, 'cut'), 4 * MIB)
      truncateSync(region.path, MIB)
      region.store8(0, 1, 0)
      region.check()
      region.store8(2 * MIB, 1, 0)
      assert.throws(() => region.check(), { code: 'EIO', message: /0x200000/ })
      region.close()
    })
  })
}

export function testMemoryFiles(): void {
  test('a file in memory that the machine has not is ENOSPC, and not filled first', () => {
    mkdirSync('/tmp/endless')
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=100T', 'none', '/tmp/endless'])
    assert.throws(() => createVolume('/tmp/endless/v', 1024 ** 4), {
      code: 'ENOSPC',
      message: /of memory/,
    })
    assert.throws(() => createVolume('/tmp/v', 1024 ** 4), { code: 'ENOSPC' })
    execFileSync('umount', ['/tmp/endless'])
  })
}
