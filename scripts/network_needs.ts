/**
 * What processes and networks of hosts, made by tests, need of this machine: looked at by making
 * what the tests make, in a namespace that is gone with the command.
 */
import { spawnSync } from 'node:child_process'

const SETPRIV = 'no setpriv (util-linux)'
const PROBES: readonly (readonly [what: string, script: string])[] = [
  ['ip (iproute2)', 'ip -V'],
  ['tc (iproute2)', 'tc -V'],
  ['iptables', 'iptables -V && ip6tables -V'],
  ['setpriv (util-linux)', 'setpriv --pdeathsig KILL true'],
  ['nsenter (util-linux)', 'nsenter --version'],
  ['network namespaces', 'unshare --net true'],
  [
    'network namespaces with veth and bridges',
    inside('ip link add hub type bridge && ip link add port type veth peer name eth0'),
  ],
  [
    'network namespaces with tc tbf',
    inside('ip link set lo up && tc qdisc add dev lo root tbf rate 1mbit burst 32kb latency 50ms'),
  ],
  [
    'network namespaces with iptables statistic',
    inside(
      'for all in iptables ip6tables; do ' +
        '$all -A INPUT -p tcp -m statistic --mode random --probability 0.5 -j DROP || exit 1; done',
    ),
  ],
  [
    'network namespaces with IPv6 addresses',
    inside('ip link set lo up && ip -6 address add fd00::1/64 dev lo nodad'),
  ],
]

function inside(script: string): string {
  return `unshare --net sh -c '${script}'`
}

function runs(script: string): boolean {
  const env = { ...process.env, PATH: `${process.env['PATH'] ?? ''}:/usr/sbin:/sbin` }
  return spawnSync('sh', ['-c', script], { stdio: 'ignore', env }).status === 0
}

/** Each as it stands in the reason of a skip, and whether it is there. */
export const NETWORK_NEEDS = PROBES.map(([what, script]) => {
  return { lack: `no ${what}`, met: () => runs(script) }
})

/** Why there can be no hosts here; false: there can. */
export function noHosts(): string | false {
  if (process.getuid?.() !== 0) return 'only root can make hosts of its own'
  return NETWORK_NEEDS.find((need) => !need.met())?.lack ?? false
}

/** Why there can be no processes that end with the test; false: there can. */
export function noSetpriv(): string | false {
  return NETWORK_NEEDS.find(({ lack }) => lack === SETPRIV)!.met() ? false : SETPRIV
}
