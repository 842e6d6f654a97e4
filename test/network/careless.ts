/** A test that never ends: says where the namespaces are of the hosts that it has made. */
import { readlinkSync } from 'node:fs'
import { Programs } from '../processes/program.js'
import { Network } from './hosts.js'

const { hosts, wires } = await Network.make(new Programs(), 2)
const all = [wires, ...hosts.map((host) => host.namespace)]
const names = all.map(({ holder }) => readlinkSync(`/proc/${holder.pid}/ns/net`))
process.stdout.write(`${names.join(' ')}\n`)
