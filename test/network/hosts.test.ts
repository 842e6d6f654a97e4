/** The hosts themselves: that they are apart from this machine, and leave nothing on it. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { networkInterfaces } from 'node:os'
import { createInterface } from 'node:readline'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { noHosts } from '../../scripts/network_needs.js'
import { processTest, until, type Programs } from '../processes/program.js'
import { namespaceOf, Network, twoHosts, type Host } from './hosts.js'

const skip = noHosts()
const MAIN = fileURLToPath(new URL('../../src/cli/main.js', import.meta.url))

const links = (): string[] => Object.keys(networkInterfaces()).sort()
const inUse = (name: string): boolean =>
  readdirSync('/proc').some((pid) => namespaceOf(pid) === name)

test('a test that is killed leaves no host, and this machine as it was', { skip }, async () => {
  const before = links()
  const program = fileURLToPath(new URL('./careless.js', import.meta.url))
  const child = spawn(process.execPath, [program], { stdio: ['ignore', 'pipe', 'inherit'] })
  const names = await new Promise<string[]>((resolve) => {
    createInterface({ input: child.stdout }).once('line', (line) => resolve(line.split(' ')))
  })
  assert.equal(names.length, 3)
  assert.ok(names.every(inUse), 'they are there while the test is')
  assert.deepEqual(links(), before)
  child.kill('SIGKILL')
  await until(() => !names.some(inUse), 'the end of the namespaces')
})

/** A server of rping on one host, and a client on another: the command line as people use it. */
async function ping(programs: Programs, from: Host, to: Host, address: string): Promise<string> {
  const rping = (place: Host, ...args: string[]) =>
    programs.start('rping', [process.execPath, MAIN, 'rping', '-a', address, ...args], { place })
  const server = rping(to, '-s', '-p', '0')
  const port = /:(\d+)$/.exec((await server.line()).replace(/[^\d]+$/, ''))![1]!
  const client = rping(from, '-c', '-p', port, '-C', '3', '-V')
  const said = await client.line()
  assert.deepEqual(await client.ended(), { status: 0, signal: null })
  assert.deepEqual(await server.ended(), { status: 0, signal: null })
  return said
}

processTest(
  'each host reaches the others, by either kind of address',
  { skip },
  async (programs) => {
    const { hosts } = await Network.make(programs, 3)
    const [a, b, c] = hosts as [Host, Host, Host]
    const said = await Promise.all([ping(programs, a, b, b.ipv4), ping(programs, c, a, a.ipv6)])
    for (const line of said) assert.match(line, /^3 pings of 100 bytes/)
    assert.match(await b.run('ip', '-oneline', 'address'), /10\.77\.0\.2\/24[^]*fd77::2\/64/)
    assert.equal(await a.lost(), 0)
  },
)

processTest('a fault of one host is over when it is healed', { skip }, async (programs) => {
  const [a, b] = await twoHosts(programs)
  const rules = () => b.run('sh', '-c', 'iptables -S; ip6tables -S; tc qdisc show dev eth0')
  const before = await rules()
  await b.lose(0.5)
  await b.deafen()
  await b.slow(1e6)
  assert.notEqual(await rules(), before)
  await b.heal()
  assert.equal(await rules(), before)
  assert.match(await ping(programs, a, b, b.ipv4), /^3 pings/)
})
