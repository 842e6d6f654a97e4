/** holdfast watch: changes and holds of a served volume, as they come. */
import { Option, type Command } from 'commander'
import { displayHolds, displayPath, type HoldfastError } from '../../base/errors.js'
import type { Change } from '../../base/filesystem.js'
import type { Client, HoldNotice } from '../../client/index.js'
import { parseVolume } from '../arguments.js'
import { demandServer } from '../connection.js'
import { jsonText, printable } from '../display.js'
import { inVolume } from '../failure.js'
import { stayUntilStopped } from '../interrupt.js'
import { examples, JSON_OPTION, type JsonOption } from '../options.js'
import { SERVED } from './holds.js'

interface Options extends JsonOption {
  readonly only?: 'changes' | 'holds'
}

export function watchCommand(program: Command): Command {
  return program
    .command('watch')
    .summary('show changes and holds of a volume as they come')
    .description(
      'Shows what happens in a served volume, a line each, until ^C: changes of files and names, and ' +
        'holds that are granted, refused for, asked back, given back, fenced, and end. Names are shown ' +
        'with the inode of their directory. Events that came too fast, or while the server was gone, ' +
        'are told of as lost.',
    )
    .argument(...SERVED, parseVolume)
    .addOption(new Option('--only <what>', 'changes, or holds').choices(['changes', 'holds']))
    .option(...JSON_OPTION)
    .addHelpText(
      ...examples('holdfast watch v.hf', 'holdfast watch --only holds --json hf://10.0.0.7'),
    )
    .action(watch)
}

async function watch(volume: string, options: Options): Promise<void> {
  await using client = await demandServer(volume)
  await inVolume(volume, async () => {
    const output = new Lines(options.json === true)
    await stayUntilStopped(async (stopped) => {
      const gone = listen(client, output, options)
      await client.watching
      output.write('watching', { session: client.hello.session }, printable(volume))
      const told = new Promise<null>((resolve) => {
        if (stopped.aborted) resolve(null)
        stopped.addEventListener('abort', () => resolve(null), { once: true })
      })
      const error = await Promise.race([gone, told])
      client.onLost = null
      if (error !== null) throw error
    })
  })
}

/** Resolves with why, when there will be no more events. */
function listen(client: Client, output: Lines, { only }: Options): Promise<HoldfastError> {
  if (only !== 'holds') client.watch((change) => output.change(change))
  if (only !== 'changes') client.watchHolds((event) => output.holding(event))
  client.onEventsLost = (events) => output.write('lost', { events }, `${events} events`)
  client.onConnected = () => output.write('reconnected', {}, 'the server is back')
  return new Promise((resolve) => {
    let lost = false
    client.onLost = (error) => {
      // Once when it is lost, once more when it will not come back.
      if (lost && client.connection.closed) return resolve(error)
      lost = true
      output.write('disconnected', { why: error.detail }, error.detail)
      if (client.connection.closed) resolve(error)
    }
  })
}

/** Bytes that wait for a slow reader; what comes then is dropped, and counted. */
const WAITING_MAX = 16 << 20

/** Lines of text or of JSON, each with its time. */
class Lines {
  readonly #json: boolean
  #dropped = 0

  constructor(json: boolean) {
    this.#json = json
  }

  change(change: Change): void {
    const { kind, ino, parent, name, oldParent, oldName } = change
    const to = name === undefined ? '' : ` ${place(parent, name)}`
    const from = oldName === undefined ? '' : ` ${place(oldParent, oldName)} ->`
    const json = {
      ino,
      ...(parent === undefined ? {} : { parent }),
      ...(name === undefined ? {} : jsonText('name', name)),
      ...(oldParent === undefined ? {} : { oldParent }),
      ...(oldName === undefined ? {} : jsonText('oldName', oldName)),
    }
    this.write(kind, json, `inode ${ino}${from}${to}`)
  }

  holding({ kind, holds, change, wanted }: HoldNotice): void {
    const inode = holds[0] === undefined ? '' : `inode ${holds[0].ino}: `
    const range = wanted === undefined ? '' : `, ${wanted.length} bytes at ${wanted.offset}`
    const why = change === undefined ? '' : ` (${change}${range})`
    this.write(kind, { holds, change, wanted }, `${inode}${displayHolds(holds)}${why}`)
  }

  write(event: string, json: object, text: string): void {
    const { stdout } = process
    if (stdout.writableLength > WAITING_MAX) {
      this.#dropped++
      return
    }
    const dropped = this.#dropped
    this.#dropped = 0
    if (dropped > 0) this.write('lost', { events: dropped }, `${dropped} events`)
    const time = new Date().toISOString()
    const line = this.#json
      ? JSON.stringify({ time, event, ...json })
      : `${time.slice(11, 23)}  ${event.padEnd(10)}  ${printable(text)}`
    stdout.write(`${line}\n`)
  }
}

const place = (parent: number | undefined, name: Uint8Array) =>
  `${parent ?? '?'}/${displayPath(name)}`
