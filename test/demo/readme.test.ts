/** The section "Serve" of README.md, command by command, as it says that they behave. */
import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { once } from 'node:events'
import { createServer, type AddressInfo } from 'node:net'
import { fileURLToPath } from 'node:url'
import { connect } from '../../src/client/index.js'
import { processTest, until, type Program } from '../processes/program.js'

const MAIN = fileURLToPath(new URL('../../src/cli/main.js', import.meta.url))
const README = fileURLToPath(new URL('../../../README.md', import.meta.url))

interface Shown {
  readonly command: string
  readonly output: string[]
}

function shown(): Shown[] {
  const section = /^## Serve\n(.*?)^## /ms.exec(readFileSync(README, 'utf8'))![1]!
  const blocks = [...section.matchAll(/^```\n(\$ .*?)^```$/gms)].map((found) => found[1]!)
  const lines = blocks.join('').trimEnd().split('\n')
  const all: Shown[] = []
  for (const line of lines) {
    if (line.startsWith('$ ')) all.push({ command: line.slice(2), output: [] })
    else all.at(-1)!.output.push(line)
  }
  return all
}

/** Numbers, ids and what is left out may be others; so may spaces between columns. */
function pattern(line: string): RegExp {
  const plain = line
    .replace(/[.*+?^${}()|[\]\\]/g, '\\$&')
    .replace('/run/holdfast/', '\\S+/') // of root; others have a directory of their own
    .replace(/\b[0-9a-f]{8}(?=-)/g, '[0-9a-f]{8}')
    .replace(/(?<!\{)\d+(?![-\d}])/g, '\\d+')
    .replace(/…/g, '\\S*')
    .replace(/ +/g, ' +')
  return new RegExp(`^${plain}$`)
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}

/** Its arguments, as a shell would split them. */
const words = (command: string) =>
  [...command.matchAll(/"([^"]*)"|(\S+)/g)].map((found) => found[1] ?? found[2]!)

processTest('what README.md shows of serving is what happens', {}, async (programs, t) => {
  const directory = mkdtempSync('/dev/shm/holdfast-readme-')
  t.after(() => rmSync(directory, { recursive: true }))
  const port = await freePort()
  const here = (text: string) =>
    text
      .replaceAll('/dev/shm/v.hf', `${directory}/v.hf`)
      .replaceAll('7174', `${port}`)
      .replace(/(?<=--keys |--uid 0 |KEY=)keys/, `${directory}/keys`)
  const lasting: Program[] = []
  const env: Record<string, string> = {}
  const commands = shown()
  assert.equal(commands.length, 9)
  for (const { command, output } of commands) {
    const [, name, value] = /^export (\w+)=(.*)$/.exec(here(command)) ?? []
    if (name !== undefined) {
      env[name] = value!
      continue
    }
    const [npx, holdfast, verb, ...args] = words(here(command))
    assert.deepEqual([npx, holdfast], ['npx', 'holdfast'])
    const program = programs.start(verb!, [process.execPath, MAIN, verb!, ...args], { env })
    const lasts = verb === 'serve' || verb === 'pin'
    if (lasts) lasting.push(program)
    else {
      const { status } = await program.ended()
      await program.closed
      assert.equal(status, output[0]?.includes('EBUSY') === true ? 1 : 0, program.said())
    }
    const lines = lasts ? [await program.line()] : [...program.rest(), ...lineOf(program.errors)]
    // What is not shown is not looked at: mkfs and keys say more.
    for (const [i, line] of output.entries())
      assert.match(lines[i] ?? '', pattern(here(line)), verb)
  }
  const [server, pin] = lasting as [Program, Program]
  const client = await connect(`${directory}/v.hf`)
  t.after(() => client.close())
  const held = (await client.statfs()).blocksFree
  assert.equal((await client.holds())[0]!.state, 'deferred')
  assert.deepEqual(await pin.kill('SIGINT'), { status: 0, signal: null })
  await until(async () => (await client.holds()).length === 0, 'the end of the pin')
  assert.ok((await client.statfs()).blocksFree >= held + 16384, 'its 64 MiB are free')
  await client.close()
  assert.deepEqual(await server.kill('SIGTERM'), { status: 0, signal: null })
})

const lineOf = (text: string) => text.split('\n').filter((line) => line.startsWith('holdfast: '))
