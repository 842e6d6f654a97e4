/**
 * What programs take: `git status` and an offline `npm ci` on ours, beside bindfs and the tmpfs
 * behind it. Programs and servers are on all processors.
 *
 * - git: a repository of so many files in directories of fifty, committed; a first `git status`
 *   that does not count, then one that is timed.
 * - npm: package.json and package-lock.json of this project, every package in the cache, no
 *   scripts; the node_modules of before are gone. In the end it is compared, file by file, with
 *   that on tmpfs.
 */
import { spawnSync } from 'node:child_process'
import { copyFileSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { fileURLToPath } from 'node:url'
import { setTimeout } from 'node:timers/promises'
import { Prng } from '../../src/base/prng.js'
import type { Measured } from '../rdma/pair.js'
import { busySeconds, processorSeconds } from '../rdma/process.js'
import { atMost, inTurn, judged, print, ratio } from '../rdma/rounds.js'
import type { Setting } from '../mount.js'
import { durations, factors, spread } from '../table.js'
import { Mounted } from './scene.js'
import { bindfs, embedded } from './servers.js'

const REGION_BYTES = 1 << 30
const FILES_IN_DIRECTORY = 50
const FILE_BYTES_MOST = 8192
/** Of ours to bindfs. */
const WANTED = 1.5
/** The index of git looks again at what is as young as itself. */
const RACY_MILLISECONDS = 1100
/** Of this tree, from build/bench/mount/. */
const PROJECT = fileURLToPath(new URL('../../..', import.meta.url))

/** A directory to work in, and who serves it. */
interface Place {
  readonly name: string
  readonly directory: string
  pids(): readonly number[]
}

export async function commands(setting: Setting): Promise<void> {
  const { scene } = setting
  const all = `0-${availableParallelism() - 1}`
  const mounts = [
    await Mounted.start(scene, embedded(setting, REGION_BYTES, 'programs'), all),
    await Mounted.start(scene, bindfs(scene, 'names'), all),
  ]
  const places = [...mounts, { name: 'tmpfs', directory: scene.below('tmpfs'), pids: () => [] }]
  await git(setting, places)
  await npm(setting, places)
  for (const mounted of mounts) await mounted.end()
}

/** Nanoseconds that a program takes, and what it wrote. */
function timed(cwd: string, command: string, args: readonly string[]): [number, string] {
  const start = process.hrtime.bigint()
  const { status, stdout, stderr } = spawnSync(command, args, {
    cwd,
    encoding: 'utf8',
    maxBuffer: 1 << 26,
    env: { ...process.env, ...GIT_ENVIRONMENT },
  })
  const nanoseconds = Number(process.hrtime.bigint() - start)
  if (status !== 0) throw new Error(`${command} ${args.join(' ')} in ${cwd}: ${stderr}`)
  return [nanoseconds, stdout]
}

const TICKS_PER_SECOND = 100

/** Of programs that this process has started and that have ended. */
function childrenSeconds(): number {
  const text = readFileSync('/proc/self/stat', 'utf8')
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
  return (Number(fields[13]) + Number(fields[14])) / TICKS_PER_SECOND
}

function measure(place: Place, run: () => number): Measured {
  const processor = () => ({
    client: childrenSeconds() + processorSeconds([process.pid]),
    server: processorSeconds(place.pids()),
    all: busySeconds(),
  })
  const before = processor()
  const nanoseconds = run()
  const after = processor()
  const client = after.client - before.client
  const server = after.server - before.server
  const machine = (nanoseconds / 1e9) * availableParallelism()
  const others = (after.all - before.all - client - server) / machine
  return { nanoseconds, p50: 0, p99: 0, bytes: 1, client, server, others }
}

/** Of the places: ours, bindfs, what is behind it. */
function tell(title: string, places: readonly Place[], found: readonly Measured[][]): void {
  const seconds = (list: readonly Measured[], side: 'client' | 'server') =>
    (list.reduce((sum, one) => sum + one[side], 0) / list.length).toFixed(2)
  const rows = found.map((list, i) => {
    const over = ratio(found[0]!, list)
    return [
      places[i]!.name,
      durations(spread(list.map(({ nanoseconds }) => nanoseconds))),
      ...[['', '', ''], judged(over, atMost(WANTED)), [factors(over), '', '']][i]!,
      `${seconds(list, 'client')} + ${seconds(list, 'server')}`,
    ]
  })
  print(title, ['', 'takes', 'ours / its', 'wanted', '', 'CPU, s'], rows)
}

// ---- git ---------------------------------------------------------------------------------------

const GIT_ENVIRONMENT = {
  GIT_CONFIG_NOSYSTEM: '1',
  GIT_CONFIG_GLOBAL: '/dev/null',
  GIT_AUTHOR_NAME: 'bench',
  GIT_AUTHOR_EMAIL: 'bench@example.org',
  GIT_COMMITTER_NAME: 'bench',
  GIT_COMMITTER_EMAIL: 'bench@example.org',
}

async function git(setting: Setting, places: readonly Place[]): Promise<void> {
  for (const { directory } of places) makeRepository(`${directory}/repository`, setting.count)
  await setTimeout(RACY_MILLISECONDS)
  const runs = places.map((place) => async () => {
    status(place)
    return measure(place, () => status(place))
  })
  const found = await inTurn(runs, setting.turns)
  for (const { directory } of places) timed(`${directory}/repository`, 'git', ['fsck', '--strict'])
  tell(`git status, ${setting.count} files`, places, found)
}

function status({ directory }: Place): number {
  const [nanoseconds, said] = timed(`${directory}/repository`, 'git', ['status', '--porcelain'])
  if (said !== '') throw new Error(`git status in ${directory}: ${said}`)
  return nanoseconds
}

function makeRepository(root: string, files: number): void {
  const prng = new Prng(files)
  for (let i = 0; i < files; i++) {
    const directory = `${root}/directory${Math.floor(i / FILES_IN_DIRECTORY)}`
    if (i % FILES_IN_DIRECTORY === 0) mkdirSync(directory, { recursive: true })
    const bytes = new Uint8Array(1 + prng.below(FILE_BYTES_MOST))
    prng.fill(bytes)
    writeFileSync(`${directory}/file${i}`, bytes)
  }
  timed(root, 'git', ['init', '-q'])
  timed(root, 'git', ['add', '-A'])
  timed(root, 'git', ['commit', '-q', '-m', 'all'])
}

// ---- npm ---------------------------------------------------------------------------------------

const NPM = ['ci', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel', 'error'] as const

async function npm(setting: Setting, places: readonly Place[]): Promise<void> {
  const at = ({ directory }: Place) => `${directory}/project`
  for (const place of places) {
    mkdirSync(at(place))
    for (const name of ['package.json', 'package-lock.json']) {
      copyFileSync(`${PROJECT}/${name}`, `${at(place)}/${name}`)
    }
  }
  const behind = places[places.length - 1]!
  // What is not in the cache yet is fetched.
  timed(at(behind), 'npm', [...NPM, '--prefer-offline'])
  const runs = places.map((place) => async () => {
    rmSync(`${at(place)}/node_modules`, { recursive: true, force: true })
    return measure(place, () => timed(at(place), 'npm', [...NPM, '--offline'])[0])
  })
  const found = await inTurn(runs, setting.turns)
  for (const place of places) {
    const trees = [`${at(behind)}/node_modules`, `${at(place)}/node_modules`]
    timed('/', 'diff', ['-r', '--no-dereference', ...trees])
  }
  tell('npm ci, offline', places, found)
}
