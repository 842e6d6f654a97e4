/**
 * The peer of a remote mount: sshfs of Debian over loopback, to an sshd of the bench's own, with
 * keys and settings in the scene. Best form: AES-128-GCM (the fastest cipher here), no compression,
 * `-o direct_io` (faster than its read-ahead into the page cache), requests of 1 MiB, which it
 * splits into many that are outstanding together. `directport` is the same without ssh: the
 * sftp-server of OpenSSH on a socket, nothing enciphered.
 */
import { spawn, spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { once } from 'node:events'
import { createServer, type AddressInfo } from 'node:net'
import { Daemon, freePort, installed } from '../rdma/process.js'
import type { Scene, Server } from './scene.js'

const SSHD = '/usr/sbin/sshd'
const SFTP_SERVER = '/usr/lib/openssh/sftp-server'
const FORM = 'direct_io,max_read=1048576'

export function whySshfsMissing(): string | null {
  if (!installed('sshfs')) return 'apt install sshfs'
  return existsSync(SSHD) && existsSync(SFTP_SERVER) ? null : 'apt install openssh-server'
}

/** Somebody who takes connections, until he is ended. */
interface Listener {
  readonly port: number
  pids(): number[]
  end(): Promise<void>
}

/** And its children, and theirs: a session of sshd is two processes. */
function descendants(pid: number): number[] {
  const tasks = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8')
  return [pid, ...tasks.split(' ').filter(Boolean).map(Number).flatMap(descendants)]
}

export async function startSshd({ directory }: Scene): Promise<Listener> {
  for (const name of ['host', 'user']) {
    const args = ['-q', '-t', 'ed25519', '-N', '', '-f', `${directory}/ssh-${name}`]
    const { status, stderr } = spawnSync('ssh-keygen', args, { encoding: 'utf8' })
    if (status !== 0) throw new Error(`ssh-keygen: ${stderr}`)
  }
  const port = await freePort()
  const file = `${directory}/sshd_config`
  const settings = [
    `ListenAddress 127.0.0.1:${port}`,
    `HostKey ${directory}/ssh-host`,
    `AuthorizedKeysFile ${directory}/ssh-user.pub`,
    `PidFile none`,
    'StrictModes no',
    'UsePAM no',
    'PasswordAuthentication no',
    'PermitRootLogin prohibit-password',
    'Subsystem sftp internal-sftp',
  ]
  writeFileSync(file, `${settings.join('\n')}\n`)
  // It goes there before anybody has shown who he is.
  mkdirSync('/run/sshd', { recursive: true, mode: 0o755 })
  const daemon = new Daemon(SSHD, ['-D', '-e', '-f', file], `${directory}/sshd.log`)
  await daemon.listening(port)
  return { port, pids: () => descendants(daemon.child.pid!), end: () => daemon.end() }
}

export async function startSftpServer(): Promise<Listener> {
  const pids: number[] = []
  const server = createServer((socket) => {
    const child = spawn(SFTP_SERVER, [], { stdio: [socket, socket, 'inherit'] })
    child.once('spawn', () => socket.destroy())
    pids.push(child.pid!)
    child.once('exit', () => pids.splice(pids.indexOf(child.pid!), 1))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    port: (server.address() as AddressInfo).port,
    pids: () => pids,
    async end() {
      server.close()
      await once(server, 'close')
    },
  }
}

export function sshfs(scene: Scene, { port, pids }: Listener): Server {
  const behind = scene.below('behind-sshfs')
  const ssh = [
    `IdentityFile=${scene.directory}/ssh-user`,
    'IdentitiesOnly=yes',
    `UserKnownHostsFile=${scene.directory}/ssh-known`,
    'StrictHostKeyChecking=no',
    'LogLevel=ERROR',
    'Ciphers=aes128-gcm@openssh.com',
    'compression=no',
  ]
  return {
    name: 'sshfs, AES-128-GCM',
    behind: pids,
    command: (directory) => [
      ...['sshfs', '-f', '-F', '/dev/null', '-p', String(port)],
      ...['-o', [...ssh, FORM].join(','), `root@127.0.0.1:${behind}`, directory],
    ],
  }
}

export function sshfsDirectly(scene: Scene, { port, pids }: Listener): Server {
  const behind = scene.below('behind-sftp')
  return {
    name: 'sshfs, directport',
    behind: pids,
    command: (directory) => [
      ...['sshfs', '-f', '-o', `directport=${port},${FORM}`],
      ...[`127.0.0.1:${behind}`, directory],
    ],
  }
}
