/**
 * `npm run test:guest`: a machine with persistent memory, and one that loses its power.
 *
 * The first boot shows what device-DAX and files with DAX are as regions, and runs the filesystem
 * suite on them (inside/devices.ts). The others write to four regions at once (inside/targets.ts)
 * and say on the console what is durable. qemu is killed, and with it the memory of the guest and
 * its page cache, as in a power cut; the files behind its disk and its persistent memory stay. The
 * next boot checks: nothing that was said to be durable may be missing.
 *
 * Another boot mounts a volume on its kernel, which is Debian's, and older than many
 * (inside/mounts.ts). An argument, `devices`, `mounts` or `power-off`, runs only that.
 *
 * SEED repeats the operations (not the moment of the kill), KILLS is their number. The consoles are
 * kept in build/guest/*.log.
 */
import assert from 'node:assert/strict'
import fc from 'fast-check'
import { Prng } from '../../src/base/prng.js'
import { sequenceOf } from '../kill/sequence.js'
import { CannotRun } from '../machine/needs.js'
import type { Operation } from '../model/operations.js'
import { makeDisk, makeGuest, makeMemory, type Guest } from './images.js'
import { syncOf, TARGETS } from './inside/targets.js'
import { bootGuest, MEMORY_BYTES } from './machine.js'

const seed = Number(process.env['SEED'] ?? Math.floor(Math.random() * 0x7fff_ffff))
const kills = Number(process.env['KILLS'] ?? 8)
const OPERATIONS = 600
/** A guest is taken for stuck after this: emulated, on a machine with other work, it is slow. */
const POWER_OFF_MS = 1_800_000
const DEVICES_MS = 5_400_000
const prng = new Prng(seed)

/** A program of inside/ from its boot to its end, which must be a good one. */
async function runProgram(
  boot: Omit<Parameters<typeof bootGuest>[0], 'onLine'>,
): Promise<readonly string[]> {
  const { lines } = await bootGuest({ ...boot, onLine: () => null })
  if (!lines.includes('GUEST program ended with 0')) {
    assert.fail(`${boot.program} in the guest:\n${lines.slice(-200).join('\n')}`)
  }
  return lines
}

/** The filesystem suite and what is special to devices, on persistent memory. */
async function testDevices(guest: Guest, memory: string): Promise<string> {
  const lines = await runProgram({
    guest,
    program: 'devices',
    args: [String(seed)],
    memory,
    patience: DEVICES_MS,
  })
  const count = (what: string) =>
    lines.map((line) => new RegExp(`^\\S+ ${what} (\\d+)$`).exec(line)?.[1]).find(Boolean)
  assert.equal(count('fail'), '0')
  assert.equal(count('skipped'), '0')
  assert.ok(Number(count('pass')) > 0, 'no test ran')
  return `${count('pass')} tests passed`
}

/** A volume mounted on the guest's kernel. */
async function testMounts(guest: Guest): Promise<string> {
  const lines = await runProgram({ guest, program: 'mounts', args: [], patience: DEVICES_MS })
  const count = (what: string) =>
    lines.map((line) => new RegExp(`^\\S+ ${what} (\\d+)$`).exec(line)?.[1]).find(Boolean)
  assert.equal(count('fail'), '0')
  assert.ok(Number(count('pass')) > 100, 'the table was tried')
  return `${count('pass')} tests passed`
}

/** Lines that say what is durable, in a round that comes to its end. */
function linesOf(round: number, operations: readonly Operation[]): number {
  const syncs = operations.filter((operation) => operation.do === 'sync').length
  const lines = TARGETS.map((target) =>
    syncOf(target, round) === 'always' ? operations.length : syncs,
  )
  return lines.reduce((sum, n) => sum + n, 0)
}

class PowerOff {
  readonly #guest: Guest
  readonly #disk: string
  readonly #memory: string
  /** What each target said last. */
  #durable = TARGETS.map(() => 0)
  /** Pages that the controls lost. */
  lost = 0

  constructor(guest: Guest, disk: string, memory: string) {
    this.#guest = guest
    this.#disk = disk
    this.#memory = memory
  }

  #boot(round: number) {
    return {
      guest: this.#guest,
      program: 'power_off',
      args: [round, ...this.#durable].map(String),
      disk: this.#disk,
      memory: this.#memory,
      patience: POWER_OFF_MS,
    }
  }

  #report(lines: readonly string[]): void {
    for (const line of lines) {
      const [, text, lost] = /^FOUND (.* control=(\d+))$/.exec(line) ?? []
      if (text === undefined) continue
      this.lost += Number(lost)
      console.log(`  ${text}`)
    }
  }

  /** Checks what the last kill left, writes, kills after some lines. */
  async kill(round: number, operations: readonly Operation[]): Promise<void> {
    const boot = this.#boot(round)
    const after = TARGETS.length + prng.below(linesOf(round, operations))
    const durable = TARGETS.map(() => 0)
    let said = 0
    const { lines, killed } = await bootGuest({
      ...boot,
      onLine: (line) => (line.startsWith('DURABLE ') && ++said === after ? prng.below(100) : null),
    })
    assert.ok(killed, `the guest ended by itself:\n${lines.slice(-60).join('\n')}`)
    for (const line of lines) {
      const [, name, n] = /^DURABLE (\w+) (\d+)$/.exec(line) ?? []
      if (name !== undefined)
        durable[TARGETS.findIndex((target) => target.name === name)] = Number(n)
    }
    this.#report(lines)
    const all = TARGETS.map(({ name }, i) => `${name} ${durable[i]}`).join(', ')
    console.log(`kill ${round + 1}: durable ${all}`)
    this.#durable = durable
  }

  /** A boot that only checks. */
  async end(round: number): Promise<void> {
    this.#report(await runProgram(this.#boot(round)))
  }
}

async function timed<T>(name: string, work: () => Promise<T>): Promise<T> {
  const start = performance.now()
  const result = await work()
  console.log(`${name}: ${((performance.now() - start) / 1000).toFixed(0)} s`)
  return result
}

async function main(part: string | undefined): Promise<void> {
  const sequences = fc.sample(sequenceOf(OPERATIONS, 8), { seed, numRuns: kills })
  const files = sequences.map((ops, i) => [`operations-${i}.json`, JSON.stringify(ops)] as const)
  const guest = await timed('setting up', async () => makeGuest(new Map(files)))
  const memory = makeMemory('memory.img', MEMORY_BYTES)
  const wanted = (name: string) => part === undefined || part === name
  if (wanted('devices')) console.log(await timed('devices', () => testDevices(guest, memory)))
  if (wanted('mounts')) console.log(await timed('mounts', () => testMounts(guest)))
  if (wanted('power-off')) await testPowerOff(guest, memory, sequences)
}

async function testPowerOff(
  guest: Guest,
  memory: string,
  sequences: readonly Operation[][],
): Promise<void> {
  const powerOff = new PowerOff(guest, makeDisk('disk.img', 160), memory)
  await timed(`${kills} kills`, async () => {
    for (let round = 0; round < kills; round++) await powerOff.kill(round, sequences[round]!)
    await powerOff.end(kills)
  })
  if (kills > 4) assert.ok(powerOff.lost > 0, 'the controls lost nothing: nothing was shown')
  console.log(
    `nothing durable is missing; files mapped without MAP_SYNC lost ${powerOff.lost} pages; SEED=${seed}`,
  )
}

try {
  await main(process.argv[2])
} catch (error) {
  if (!(error instanceof CannotRun)) {
    console.log(`SEED=${seed}`)
    throw error
  }
  console.log(`SKIPPED: ${error.message}`)
}
