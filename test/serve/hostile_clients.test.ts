/** Clients that lie, guess, flood and never listen: others do not notice. */
import assert from 'node:assert/strict'
import { O } from '../../src/base/open_flags.js'
import { PATH_BYTES_MAX } from '../../src/base/limits.js'
import { LONG } from '../rdma/random.js'
import { connectUnix } from '../../src/native/unix.js'
import { contentOf, hostileTest, type HostileScene, type Step } from './hostile_scene.js'
import { byPath, callBytes, cancelBytes, codeOf, framed, RawClient } from './raw_client.js'

const EMPTY = { force: false }
/** More than a reply had room for, once. */
const ATTRIBUTES = LONG > 1 ? 4200 : 200
const SESSIONS = LONG > 1 ? 140 : 20
const HELLO = { version: 1, versionMin: 1, capabilities: 0, name: 'again', umask: 0 }

const open = (client: RawClient, path: string | Uint8Array, flags = 0, options = {}) =>
  client.call(
    'open',
    {
      path: typeof path === 'string' ? Buffer.from(path) : path,
      flags,
      mode: 0o600,
      options: EMPTY,
    },
    options,
  )

const wish = (handle: number, length = 4096) => ({ handle, offset: 0, length, reason: 'hostile' })

const steps: Step[] = []
const step = (name: string, run: Step['run']) => steps.push({ name, run })

step('paths lead where they say, and never out of the volume', async (scene) => {
  const ada = await scene.greeted('ada')
  const code = (path: string | Uint8Array, flags = 0) => codeOf(open(ada, path, flags))
  // A volume has no outside: what is above the root is the root.
  const up = await open(ada, '/../../../../ada')
  const { ino } = await ada.call('stat', { target: byPath('/../shared/../ada') })
  assert.equal(up.ino, ino)
  const outside = ['/etc/passwd', '/../../etc/passwd', '/proc/self/mem', '/dev/shm']
  for (const path of outside) assert.equal(await code(path), 'ENOENT', path)
  // Symlinks are of the volume, too.
  for (const [i, content] of [...outside, '/secret', '../../secret', '/locked/open'].entries()) {
    const path = Buffer.from(`/shared/link${i}`)
    await ada.call('symlink', { content: Buffer.from(content), path })
    const expected = i < outside.length ? 'ENOENT' : 'EACCES'
    assert.equal(await code(`/shared/link${i}`), expected, content)
    assert.equal(
      await codeOf(ada.call('truncate', { target: byPath(path), size: 0, options: EMPTY })),
      expected,
    )
  }
  await ada.call('symlink', {
    content: Buffer.from('/shared/loop'),
    path: Buffer.from('/shared/loop'),
  })
  assert.equal(await code('/shared/loop'), 'ELOOP')
  assert.equal(await code('/shared/a\0b', O.CREAT | O.WRONLY), 'EINVAL')
  assert.equal(await code(''), 'ENOENT')
  assert.equal(await code(`/shared/${'x'.repeat(4096)}`, O.CREAT | O.WRONLY), 'ENAMETOOLONG')
  assert.equal(await code(`/shared/${'x'.repeat(256)}`, O.CREAT | O.WRONLY), 'ENAMETOOLONG')
  assert.equal(await code(`/${'a/'.repeat(PATH_BYTES_MAX / 2 + 1)}`), 'ENAMETOOLONG')
  assert.equal(await code(`/shared${'/../shared'.repeat(400)}`), 'ok')
  // Bytes that are no text are a name like another.
  const odd = Buffer.from([0x2f, 0x73, 0x68, 0x61, 0x72, 0x65, 0x64, 0x2f, 0xff, 0xfe, 0x0a])
  assert.equal(await code(odd, O.CREAT | O.RDWR), 'ok')
  for (const target of [byPath('/secret'), byPath('/locked/open'), byPath('/bob')]) {
    assert.equal(await codeOf(ada.call('getXattr', { target, name: 'user.x' })), 'EACCES')
    assert.equal(
      await codeOf(ada.call('setXattr', { target, name: 'user.x', value: odd })),
      'EACCES',
    )
    assert.match(await codeOf(ada.call('extents', { target, from: 0 })), /EACCES/)
  }
})

step('files of others are nobody else’s, whichever way they are asked for', async (scene) => {
  const root = await scene.greetedLocal()
  const bob = await scene.greeted('bob')
  const facts = async (path: string) => {
    const { ino, generation, key } = await open(root, path)
    return { ino, generation, key }
  }
  for (const path of ['/secret', '/ada', '/locked/open']) {
    assert.equal(await codeOf(open(bob, path)), 'EACCES', path)
    const { ino, generation, key } = await facts(path)
    // By its number, with every key but its own.
    const keys = [undefined, new Uint8Array(16), (await open(bob, '/bob')).key]
    for (const wrong of keys) {
      const args = { ino, generation, key: wrong, flags: 0 }
      assert.equal(await codeOf(bob.call('openHandle', args)), 'EACCES', path)
    }
    // With it, the mode of the file counts still.
    const code = await codeOf(bob.call('openHandle', { ino, generation, key, flags: 0 }))
    assert.equal(code, path === '/locked/open' ? 'ok' : 'EACCES')
    // Whose blocks: a clone, a copy, a link.
    const from = Buffer.from(path)
    const to = Buffer.from('/shared/stolen')
    assert.equal(await codeOf(bob.call('reflink', { from, to, options: EMPTY })), 'EACCES')
    assert.match(await codeOf(bob.call('snapshot', { from, to, options: EMPTY })), /EACCES|ENOTDIR/)
    // A name more, where POSIX lets have one, shows nothing more.
    const linked = await codeOf(bob.call('link', { target: byPath(path), path: to }))
    assert.match(linked, /ok|EACCES|EPERM/)
    assert.match(await codeOf(open(bob, to)), /EACCES|ENOENT/)
    if (linked === 'ok') await root.call('unlink', { path: to, options: EMPTY })
  }
  for (const uid of [0, 1000]) {
    const as = { uid, gid: uid }
    assert.equal(await codeOf(open(bob, '/ada', 0, { as })), 'EPERM')
  }
  assert.equal(
    await codeOf(open(bob, '/bob', 0, { as: { uid: 1001, gid: 1001, groups: [0] } })),
    'EPERM',
  )
  assert.equal(await codeOf(open(root, '/ada', O.RDWR, { as: { uid: 1001, gid: 1001 } })), 'EACCES')
  const { session } = root
  assert.equal(await codeOf(bob.call('evict', { session })), 'EPERM')
  assert.equal(
    await codeOf(bob.call('evacuate', { from: 0, to: 1 << 26, options: EMPTY })),
    'EPERM',
  )
  assert.equal(await codeOf(bob.call('watch', { changes: true, holds: true })), 'EPERM')
  assert.equal(await codeOf(bob.call('descriptor', {})), 'EPERM')
  assert.equal(await codeOf(bob.call('reclaimDone', { slots: [0, 1, 2] })), 'EPERM')
  // Holds of others are not asked back.
  const handle = (await open(root, '/public', O.RDWR)).handle
  const { id } = await root.call('layoutGet', { wish: wish(handle), iomode: 'read' })
  assert.equal(await codeOf(bob.call('recall', { id, deadline: 1 })), 'EPERM')
  for (const code of [
    codeOf(bob.call('layoutReturn', { id })),
    codeOf(bob.call('layoutCommit', { id, size: 1 })),
    codeOf(bob.call('heldExtents', { id, from: 0 })),
  ]) {
    assert.equal(await code, 'ESTALE')
  }
})

step('who may only read changes nothing, and takes no hold that would', async (scene) => {
  const reader = await scene.greeted('reader')
  const ada = await scene.greeted('ada')
  const readOnly: [string, RawClient, string][] = [
    ['EROFS', reader, '/ada'],
    ['EACCES', ada, '/public'],
  ]
  for (const [refusal, client, path] of readOnly) {
    const { handle } = await open(client, path)
    for (const flags of [O.RDWR, O.WRONLY, O.TRUNC | O.WRONLY]) {
      assert.equal(await codeOf(open(client, path, flags)), refusal)
    }
    const kinds: [string, () => Promise<unknown>][] = [
      ['pin', () => client.call('pin', { wish: wish(handle) })],
      ['rw lease', () => client.call('layoutGet', { wish: wish(handle), iomode: 'rw' })],
      ['register', () => client.call('register', { handle, write: true })],
      [
        'truncate',
        () => client.call('truncate', { target: byPath(path), size: 0, options: EMPTY }),
      ],
      ['chmod', () => client.call('chmod', { target: byPath(path), mode: 0o777 })],
      ['fix', () => client.call('fix', { path: Buffer.from(path), options: EMPTY })],
      ['policy', () => client.call('setPolicy', { path: Buffer.from(path), policy: 'defer' })],
    ]
    for (const [what, call] of kinds) {
      assert.match(await codeOf(call()), /EROFS|EACCES|EPERM|EBADF/, what)
    }
    assert.equal(await codeOf(client.call('seal', { wish: wish(handle) })), 'EPERM')
    const data = new Uint8Array(10)
    const write = client.call('write', { handle, position: 0, data, options: EMPTY })
    assert.match(await codeOf(write), /EBADF|EROFS/)
    const punch = client.call('punch', { handle, offset: 0, length: 4096, options: EMPTY })
    assert.match(await codeOf(punch), /EBADF|EROFS/)
    const lease = await client.call('layoutGet', { wish: wish(handle), iomode: 'read' })
    const stolen = client.call('register', { handle, hold: lease.id, write: true })
    assert.match(await codeOf(stolen), /EBADF|EROFS|EACCES/)
    const got = await client.call('read', { handle, position: 0, length: 8192 })
    assert.equal(Buffer.compare(got.data, contentOf(path)), 0)
  }
})

step('root that may only read looks at everything, and ends nothing of others', async (scene) => {
  const looker = await scene.greeted('looker')
  const bob = await scene.greeted('bob')
  const { handle } = await open(bob, '/bob')
  const { id } = await bob.call('layoutGet', { wish: wish(handle), iomode: 'read' })
  await open(looker, '/ada')
  const { sessions } = await looker.call('sessions', { from: 0 })
  assert.ok(sessions.some((one) => one.id === bob.session))
  await looker.call('watch', { changes: true, holds: true })
  assert.equal(await codeOf(looker.call('evict', { session: bob.session })), 'EROFS')
  assert.equal(await codeOf(looker.call('recall', { id, deadline: 1 })), 'EROFS')
  assert.equal(await codeOf(looker.call('descriptor', {})), 'EPERM')
  await bob.call('layoutReturn', { id })
})

step('a hold of one file is not registered by the handle of another', async (scene) => {
  const bob = await scene.greeted('bob')
  const root = await scene.greetedLocal()
  const append = Buffer.from('/shared/log')
  const log = await open(bob, append, O.CREAT | O.RDWR)
  const own = await open(bob, '/bob', O.RDWR)
  const data = new Uint8Array(4096)
  await bob.call('write', { handle: log.handle, position: 0, data, options: EMPTY })
  await bob.call('close', { handle: log.handle })
  await root.call('setInodeFlags', { path: append, append: true })
  assert.equal(await codeOf(open(bob, append, O.RDWR)), 'EPERM')
  const { handle } = await open(bob, append)
  assert.equal(
    await codeOf(bob.call('layoutGet', { wish: wish(handle), iomode: 'rw' })),
    'EPERM',
    'nobody stores to a log by a lease',
  )
  const { id } = await bob.call('pin', { wish: wish(handle) })
  const register = (by: number, write: boolean) =>
    codeOf(bob.call('register', { handle: by, hold: id, write }))
  assert.equal(await register(own.handle, true), 'EINVAL')
  assert.equal(await register(own.handle, false), 'EINVAL')
  assert.equal(await register(handle, true), 'EBADF')
  assert.equal(await register(handle, false), 'ok')
  await root.call('setInodeFlags', { path: append, append: false })
})

step('in whose name it is says only who asks by a path', async (scene) => {
  const root = await scene.greetedLocal()
  const as = { uid: 1001, gid: 1001 }
  const { ino, generation, key, handle } = await open(root, '/ada')
  const refused = [
    root.call('openHandle', { ino, generation, key, flags: 0 }, { as }),
    root.call('pin', { wish: wish(handle) }, { as }),
    root.call('layoutGet', { wish: wish(handle), iomode: 'read' }, { as }),
    root.call('read', { handle, position: 0, length: 10 }, { as }),
    root.call('ping', {}, { as }),
  ]
  for (const call of refused) assert.equal(await codeOf(call), 'EINVAL')
  assert.equal(await codeOf(open(root, '/ada', 0, { as })), 'EACCES')
})

step('nothing is done before HELLO, and HELLO is said once', async (scene) => {
  const mute = await scene.local()
  const codes = await Promise.all([
    codeOf(open(mute, '/public')),
    codeOf(mute.call('stat', { target: byPath('/') })),
    codeOf(mute.call('holds', { from: 0 })),
    codeOf(mute.call('sessions', { from: 0 })),
    codeOf(mute.call('watch', { changes: false, holds: true })),
    codeOf(mute.call('summary', {})),
    codeOf(mute.call('statistics', {})),
    codeOf(mute.call('statfs', {})),
    codeOf(mute.call('descriptor', {})),
    codeOf(mute.call('openHandle', { ino: 1, generation: 1, flags: 0 })),
    codeOf(mute.call('sync', {})),
  ])
  assert.deepEqual(new Set(codes), new Set(['EPROTO']))
  assert.equal(await codeOf(mute.call('hello', { ...HELLO, version: 9, versionMin: 5 })), 'EPROTO')
  await mute.hello()
  assert.equal(await codeOf(mute.call('hello', HELLO)), 'EPROTO')
  assert.equal(await codeOf(open(mute, '/public')), 'ok')
  // Much is taken only from who has said who it is.
  const large = await scene.local()
  large.raw(Buffer.concat([framed(new Uint8Array(1025))]))
  await large.gone()
})

step('handles, holds and registrations have their bounds', async (scene) => {
  const bob = await scene.greetedLocal()
  const { handle } = await open(bob, '/bob', O.RDWR)
  const until = async (wanted: string, call: () => Promise<unknown>, most: number) => {
    for (let made = 0; made < most; made += 256) {
      const codes = await Promise.all(Array.from({ length: 256 }, () => codeOf(call())))
      const other = codes.filter((code) => code !== 'ok')
      if (other.length > 0) {
        assert.deepEqual(new Set(other), new Set([wanted]))
        return
      }
    }
    assert.fail(`never ${wanted}`)
  }
  const lease = () => bob.call('layoutGet', { wish: wish(handle), iomode: 'read' })
  if (LONG > 1) {
    await until('EMFILE', () => open(bob, '/public'), 20_000)
    assert.equal(await codeOf(bob.call('close', { handle: handle + 1 })), 'ok')
    assert.equal(await codeOf(open(bob, '/public')), 'ok')
    const register = () => bob.call('register', { handle, write: false })
    await until('ENOMEM', register, 20_000)
    await until('ENOMEM', lease, 80_000)
  } else for (let i = 0; i < 200; i++) await lease()
  // Who asks for all of them gets them in messages that fit, and others are served.
  const root = await scene.greetedLocal()
  const { holds, more } = await root.call('holds', { from: 0 })
  assert.ok(holds.length > 10 && more)
})

// ---- floods ------------------------------------------------------------------------------------

const many = <T>(count: number, make: () => Promise<T>) =>
  Promise.all(Array.from({ length: count }, make))

step('connections that say nothing keep nobody away', async (scene) => {
  const silent = await many(400, () => RawClient.unix(scene.socket).catch(() => null))
  scene.clients.push(...silent.filter((client) => client !== null))
  const remote = await many(100, () => scene.remote(null).catch(() => null))
  assert.ok(silent.length + remote.length > 300)
  // One more comes all the same.
  const late = await scene.greetedLocal()
  assert.equal(await codeOf(open(late, '/public')), 'ok')
  const away = await scene.greeted('ada')
  assert.equal(await codeOf(open(away, '/ada')), 'ok')
})

step('half messages are kept as they come, and no more', async (scene) => {
  const before = await scene.ask<{ external: number }>('memory')
  const clients = await many(150, () => scene.greetedLocal())
  const half = framed(new Uint8Array(260 << 10)).subarray(0, 5000)
  for (const client of clients) client.raw(half)
  const probe = await scene.greetedLocal()
  for (let i = 0; i < 20; i++) await probe.call('ping', {})
  const after = await scene.ask<{ external: number }>('memory')
  const each = (after.external - before.external) / clients.length
  assert.ok(each < 64 << 10, `${each} bytes for each`)
})

step('who never takes its answers is kept in bounds, with all that others want', async (scene) => {
  const before = await scene.ask<{ external: number; heap: number }>('memory')
  const clients = await many(40, () => scene.greetedLocal())
  for (const client of clients) {
    const { handle } = await open(client, '/public', O.RDWR)
    await client.call('truncate', { target: { handle }, size: 1 << 20, options: EMPTY })
    client.greedy(false)
    for (let id = 0; id < 64; id++) {
      client.send(callBytes('read', { handle, position: 0, length: 256 << 10 }, { id }))
    }
  }
  const probe = await scene.greetedLocal()
  for (let i = 0; i < 50; i++) await probe.call('ping', {})
  const after = await scene.ask<{ external: number; heap: number }>('memory')
  const each = (after.external + after.heap - before.external - before.heap) / clients.length
  assert.ok(each < 2 << 20, `${each} bytes for each`)
  // They are told in the end.
  const [first] = clients
  first!.greedy(true)
  await first!.until(() => first!.strays.length === 64)
  assert.equal(new Set(first!.strays).size, 64)
})

step('who watches and never reads loses events, and nobody waits for it', async (scene) => {
  const root = await scene.greetedLocal()
  const watchers = await many(6, () => scene.greetedLocal())
  for (const watcher of watchers) {
    await watcher.call('watch', { changes: true, holds: true })
    watcher.greedy(false)
  }
  const { handle } = await open(root, '/public', O.RDWR)
  const before = await scene.ask<{ external: number; heap: number }>('memory')
  const names = ['a', 'b'].map((letter) => Buffer.from(`/shared/${letter.repeat(250)}`))
  await root.call('symlink', { content: Buffer.from('x'), path: names[0]! })
  for (let i = 0; i < 40; i++) {
    const renames = Array.from({ length: 60 }, (_, j) => {
      const [from, to] = j % 2 === 0 ? [names[0]!, names[1]!] : [names[1]!, names[0]!]
      return root.call('rename', { from, to, noReplace: false, exchange: false, options: EMPTY })
    })
    await Promise.all(renames)
    const { id } = await root.call('layoutGet', { wish: wish(handle), iomode: 'read' })
    await root.call('layoutReturn', { id })
  }
  const after = await scene.ask<{ external: number; heap: number }>('memory')
  const each = (after.external + after.heap - before.external - before.heap) / watchers.length
  assert.ok(each < 2 << 20, `${each} bytes for each`)
  const [first] = watchers
  first!.greedy(true)
  await first!.until(() => first!.notices.some((notice) => notice.name === 'lost'))
})

step(
  'calls that are given up, ids that are used again, and calls that never end',
  async (scene) => {
    const holder = await scene.greetedLocal()
    const waiter = await scene.greeted('bob')
    const { handle } = await open(holder, '/shared/locked', O.RDWR | O.CREAT)
    await holder.call('chmod', { target: { handle }, mode: 0o666 })
    await holder.call('flock', { handle, type: 'exclusive', wait: false } as never)
    const mine = (await open(waiter, '/shared/locked', O.RDWR)).handle
    for (let round = 0; round < 8; round++) {
      const ids = Array.from({ length: 200 }, (_, i) => 100_000 + 1000 * round + i)
      const calls = ids.map((id) => {
        const args = { handle: mine, type: 'exclusive', wait: true } as never
        return codeOf(waiter.call('flock', args, { id }))
      })
      for (const id of ids) {
        waiter.send(cancelBytes(id))
        waiter.send(cancelBytes(id))
        waiter.send(cancelBytes(id + 50_000))
      }
      const codes = new Set(await Promise.all(calls))
      assert.deepEqual(codes, new Set(['EINTR']))
    }
    // The same id many times while it is under way: a few are answered, then it is over.
    const stubborn = await scene.greeted('bob')
    const own = (await open(stubborn, '/shared/locked', O.RDWR)).handle
    for (let i = 0; i < 20; i++) {
      const args = { handle: own, type: 'exclusive', wait: true } as never
      stubborn.send(callBytes('flock', args, { id: 7 }))
    }
    await stubborn.gone()
    // Who waits when its session ends is given up; who closes its handle, too.
    const calls = Array.from({ length: 256 }, () =>
      codeOf(waiter.call('flock', { handle: mine, type: 'exclusive', wait: true } as never)),
    )
    waiter.abort()
    assert.deepEqual(new Set(await Promise.all(calls)), new Set(['ECONNRESET']))
    await holder.call('close', { handle })
  },
)

step('a directory is no file, whichever way it is asked for', async (scene) => {
  for (const client of [await scene.greetedLocal(), await scene.greeted('bob')]) {
    const { handle } = await open(client, '/shared')
    const codes = await Promise.all([
      codeOf(client.call('pin', { wish: wish(handle) })),
      codeOf(client.call('layoutGet', { wish: wish(handle), iomode: 'rw' })),
      codeOf(client.call('layoutGet', { wish: wish(handle), iomode: 'read' })),
      codeOf(client.call('register', { handle, write: false })),
      codeOf(client.call('read', { handle, position: 0, length: 4096 })),
    ])
    assert.deepEqual(new Set(codes), new Set(['EISDIR']))
  }
})

step('long lists come in pieces, whoever made them long', async (scene) => {
  const bob = await scene.greeted('bob')
  const { handle } = await open(bob, '/shared/many', O.RDWR | O.CREAT)
  const value = new Uint8Array(0)
  for (let i = 0; i < ATTRIBUTES; i += 200) {
    await Promise.all(
      Array.from({ length: 200 }, (_, j) => {
        const name = `user.${(i + j).toString(36)}`
        return bob.call('setXattr', { target: { handle }, name, value })
      }),
    )
  }
  const { names } = await bob.call('listXattrs', { target: { handle } })
  assert.equal(names.length, ATTRIBUTES)
  // Sessions and holds with the longest names and reasons, and many ranges each.
  const long = 'ü'.repeat(400)
  const fat = await many(SESSIONS, async () => {
    const client = await scene.local()
    await client.hello(long)
    return client
  })
  const [first] = fat
  const file = (await open(first!, '/shared/ranges', O.RDWR | O.CREAT)).handle
  await first!.call('allocate', {
    handle: file,
    offset: 0,
    length: 1 << 20,
    keepSize: false,
    contiguous: false,
    options: EMPTY,
  } as never)
  for (let i = 0; i < 70; i++) {
    const args = { wish: { ...wish(file, 1 << 20), reason: long }, iomode: 'read' as const }
    const { id } = await first!.call('layoutGet', args)
    for (let at = 1; at < 128; at += 2) {
      first!.send(callBytes('layoutReturn', { id, range: { offset: at * 4096, length: 4096 } }))
    }
  }
  const root = await scene.greetedLocal()
  let [from, count] = [0, 0]
  for (let more = true; more;) {
    const reply = await root.call('sessions', { from })
    count += reply.sessions.length
    ;({ more } = reply)
    from = reply.sessions.at(-1)!.id + 1
  }
  assert.ok(count >= SESSIONS + 2, `${count} sessions`)
  assert.equal((await root.call('holds', { from: 0 })).holds.length, 70)
  // What is in the way is named, in an error that fits.
  const { handle: other } = await open(root, '/shared/ranges', O.RDWR)
  const shrink = root.call('truncate', {
    target: { handle: other },
    size: 0,
    options: { force: false, deadline: 1 },
  })
  assert.match(await codeOf(shrink), /ok|EBUSY|EAGAIN/)
  assert.equal(root.ended, false)
})

step('a client that asks for everything at once gets what fits', async (scene) => {
  const bob = await scene.greeted('bob')
  const { handle } = await open(bob, '/bob', O.RDWR)
  const read = await bob.call('read', { handle, position: 0, length: 0xffff_ffff })
  assert.equal(read.data.length, 8192)
  assert.equal(
    (
      await bob
        .call('read', { handle, position: 2 ** 53 - 1, length: 9 })
        .catch(() => ({ data: [] }))
    ).data.length,
    0,
  )
  const { entries, end } = await bob.call('readdir', {
    target: byPath('/shared'),
    cookie: 0,
    limit: 0xffff_ffff,
  })
  assert.ok(end && entries.length >= 0)
  const huge = { offset: 0, length: 2 ** 53 - 1 }
  const options = { force: false, timeout: 1 }
  for (const code of [
    codeOf(
      bob.call('allocate', {
        handle,
        ...huge,
        keepSize: true,
        contiguous: false,
        options,
      } as never),
    ),
    codeOf(bob.call('pin', { wish: { handle, ...huge, reason: '' } })),
    codeOf(bob.call('layoutGet', { wish: { handle, ...huge, reason: '' }, iomode: 'rw' })),
    codeOf(bob.call('zeroRange', { handle, ...huge, keepSize: true, options })),
    codeOf(bob.call('insert', { handle, offset: 0, length: 2 ** 52, options })),
    codeOf(bob.call('truncate', { target: { handle }, size: 2 ** 53 - 1, options })),
    codeOf(bob.call('write', { handle, position: 2 ** 53 - 1, data: new Uint8Array(9), options })),
  ]) {
    assert.match(await code, /EFBIG|ENOSPC|EINVAL|ENOMEM/)
  }
})

step('local clients of other users connect, and are who they are', async (scene) => {
  if (process.getuid?.() !== 0) return
  const stranger = await asUser(scene, 1001)
  await stranger.hello()
  assert.equal(await codeOf(open(stranger, '/ada')), 'EACCES')
  assert.equal(await codeOf(open(stranger, '/bob')), 'ok')
  assert.equal(await codeOf(stranger.call('descriptor', {})), 'EPERM')
  assert.equal(await codeOf(open(stranger, '/bob', 0, { as: { uid: 0, gid: 0 } })), 'EPERM')
})

/** A connection of another user of this machine. */
async function asUser(scene: HostileScene, uid: number): Promise<RawClient> {
  process.setegid!(uid)
  process.seteuid!(uid)
  try {
    const client = new RawClient(await connectUnix(scene.socket))
    client.know()
    scene.clients.push(client)
    return client
  } finally {
    process.seteuid!(0)
    process.setegid!(0)
  }
}

hostileTest('clients that lie, guess, flood and never listen', steps)
