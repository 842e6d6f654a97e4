/** A mount through a key that is not privileged: all is done in the name of its user. */
import assert from 'node:assert/strict'
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { after, before, describe, test } from 'node:test'
import { connect, type Client } from '../../src/client/index.js'
import { cannotMount, MountScene, USER } from './scene.js'

const missing = cannotMount()

describe('a mount by a key of a user', { skip: missing ?? false }, () => {
  let scene: MountScene
  let root: Client

  before(async () => {
    scene = await MountScene.start('user')
    root = await connect(scene.daemon!.ready.socket, { as: 'root' })
    await root.mkdir('/home', 0o755)
    await root.chown('/home', USER, USER)
    await root.mkdir('/secret', 0o700)
    const file = await root.open('/secret/open', 'w', 0o644)
    await file.write(Buffer.from('for those who get here'))
    await file.close()
  })

  after(async () => {
    await root.close()
    await scene.end()
  })

  test('what root does there is done by the user', () => {
    const home = scene.path('home')
    mkdirSync(`${home}/a`)
    writeFileSync(`${home}/a/f`, 'text')
    renameSync(`${home}/a/f`, `${home}/g`)
    symlinkSync('g', `${home}/l`)
    assert.equal(readFileSync(`${home}/l`, 'utf8'), 'text')
    assert.equal(statSync(`${home}/g`).uid, USER)
    assert.deepEqual(readdirSync(home).sort(), ['a', 'g', 'l'])
    chmodSync(`${home}/g`, 0o600)
    assert.equal(statSync(`${home}/g`).mode & 0o777, 0o600)
    rmSync(`${home}/a`, { recursive: true })
    assert.equal(existsSync(`${home}/a`), false)
  })

  test('what is made has the bits that the umask of who asks leaves', () => {
    const before = process.umask(0o077)
    try {
      writeFileSync(scene.path('home/private'), '')
      mkdirSync(scene.path('home/closed'))
    } finally {
      process.umask(before)
    }
    assert.equal(statSync(scene.path('home/private')).mode & 0o777, 0o600)
    assert.equal(statSync(scene.path('home/closed')).mode & 0o777, 0o700)
  })

  test('what the user may not, root may not there', () => {
    assert.throws(() => readdirSync(scene.path('secret')), { code: 'EACCES' })
    assert.throws(() => readFileSync(scene.path('secret/open')), { code: 'EACCES' })
    assert.throws(() => writeFileSync(scene.path('new'), ''), { code: 'EACCES' })
  })

  test('a number that was guessed leads nowhere, nor does another key with it', async () => {
    const { ino, generation } = await root.lstat('/secret/open')
    const user = await connect(scene.daemon!.url, { key: scene.keys, patience: 0 })
    try {
      const path = { ino, generation, path: '' }
      await assert.rejects(user.lstat(path), { code: 'EPERM' })
      await assert.rejects(user.open(path, 'r'), { code: 'EPERM' })
      const { key } = await user.lstat('/home')
      assert.ok(key !== undefined)
      await assert.rejects(user.lstat({ ...path, key }), { code: 'EACCES' })
      await assert.rejects(user.open({ ...path, key }, 'r'), { code: 'EACCES' })
    } finally {
      await user.close()
    }
  })
})
