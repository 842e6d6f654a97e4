/**
 * NFS: Ganesha, NFSv3, a directory of tmpfs exported by its VFS, on loopback, READs and WRITEs of
 * up to 1 MiB. Objects are ranges of one file for each area, held open; a put is an unstable WRITE,
 * as files that nobody syncs get it. NFSv4 was tried: libnfs before 5 sends no WRITE of 4 KiB or
 * more by it ("Failed to encode COMPOUND4args"). For version 3 Ganesha ends where there is no
 * rpcbind: one is beside it, in namespaces (network, mounts, processes) of their own, into which
 * the client goes, too. What the host has on its ports and in /run is not touched.
 *
 * Client: libnfs by its asynchronous interface in a program of C (rdma/nfs_client.c, compiled when
 * the bench runs), which takes the lines that client.ts takes. The bytes are copied to where they
 * belong from the reply that libnfs gives.
 */
import { spawnSync } from 'node:child_process'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import type { Server } from './pair.js'
import { Daemon, Worker } from './process.js'

const NFS_PORT = 2049
const MOUNT_PORT = 20048

export async function ganeshaServer(directory: string, content: Buffer): Promise<Server> {
  const root = `${directory}/export`
  const state = `${directory}/ganesha`
  mkdirSync(root)
  mkdirSync(state)
  writeFileSync(`${root}/fixed`, content)
  writeFileSync(`${root}/changing`, Buffer.alloc(content.length))
  const file = `${directory}/ganesha.conf`
  const log = `${directory}/ganesha.log`
  writeFileSync(file, configuration(root, state))
  const script = [
    'set -e; ip link set lo up; mount -t tmpfs none /run; mkdir /run/rpcbind',
    'rpcbind -f &',
    'until rpcinfo -p 127.0.0.1 >/dev/null 2>&1; do sleep 0.02; done',
    `exec ganesha.nfsd -F -f ${file} -p ${state}/pid -L ${log} -N NIV_EVENT`,
  ].join('\n')
  const namespaces = ['--net', '--mount', '--pid', '--fork', '--kill-child=SIGKILL']
  const daemon = new Daemon('unshare', [...namespaces, 'sh', '-c', script], log)
  const pid = await daemon.until(() => listener(daemon.pids()[1], NFS_PORT))
  // The first process of its namespace: all others there go with it.
  return { place: pid, pids: () => daemon.pids(), end: () => daemon.end(pid, 'SIGKILL') }
}

/** The process, when something listens at the port in its network. It may end meanwhile. */
async function listener(pid: number | undefined, port: number): Promise<number | null> {
  if (pid === undefined) return null
  const LISTEN = '0A'
  const place = port.toString(16).toUpperCase().padStart(4, '0')
  const found = new RegExp(`:${place} [0-9A-F]+:0000 ${LISTEN} `)
  try {
    const listens = ['tcp', 'tcp6'].some((name) =>
      found.test(readFileSync(`/proc/${pid}/net/${name}`, 'utf8')),
    )
    return listens ? pid : null
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null
    throw error
  }
}

function configuration(root: string, state: string): string {
  return `
NFS_CORE_PARAM {
  Protocols = 3; NFS_Port = ${NFS_PORT}; MNT_Port = ${MOUNT_PORT};
  Enable_NLM = false; Enable_RQUOTA = false; Enable_UDP = false; Mount_Path_Pseudo = true;
}
NFSV4 { Graceless = true; RecoveryBackend = fs; RecoveryRoot = ${state}; }
EXPORT {
  Export_Id = 1; Path = ${root}; Pseudo = /export; Protocols = 3; Transports = TCP;
  Access_Type = RW; Squash = none; SecType = sys;
  MaxRead = 1048576; MaxWrite = 1048576; PrefRead = 1048576; PrefWrite = 1048576;
  FSAL { Name = VFS; }
}
`
}

/** The program, in that directory. */
export function compileNfsClient(directory: string): string {
  // From build/bench/rdma/ to bench/rdma/, where it is.
  const source = fileURLToPath(new URL('../../../bench/rdma/nfs_client.c', import.meta.url))
  const program = `${directory}/nfs_client`
  const args = ['-O2', '-Wall', '-Wextra', '-o', program, source, '-lnfs']
  const { status, stderr } = spawnSync('cc', args, { encoding: 'utf8' })
  if (status !== 0) throw new Error(`nfs_client.c does not compile:\n${stderr}`)
  return program
}

/** In the network of the process that is the server. */
export function nfsClient(program: string, server: unknown, content: string): Worker {
  const enter = [`--net=/proc/${String(server)}/ns/net`, program]
  return new Worker('nfs_client', 'nsenter', [
    ...enter,
    String(NFS_PORT),
    String(MOUNT_PORT),
    content,
  ])
}

/** Whether the headers of libnfs are there: cc says so. */
export const libnfsFound = (): boolean => {
  const { status } = spawnSync('cc', ['-E', '-include', 'nfsc/libnfs.h', '-x', 'c', '/dev/null'])
  return status === 0
}
