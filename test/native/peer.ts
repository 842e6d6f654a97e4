/** Runs peer.c: another process that is nothing but what a test needs of it. */
import assert from 'node:assert/strict'
import { spawn, spawnSync, type StdioOptions } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** The source lies beside this module, not beside what was compiled of it. */
function sourceOf(name: string): string {
  let directory = dirname(fileURLToPath(import.meta.url))
  while (!existsSync(join(directory, 'package.json'))) directory = dirname(directory)
  return join(directory, 'test', 'native', name)
}

/** The compiled program, in a folder of the test's; undefined: there is no C compiler. */
export function compilePeer(folder: string): string | undefined {
  const program = join(folder, 'peer')
  if (spawnSync('cc', ['--version']).status !== 0) return undefined
  const built = spawnSync('cc', ['-O1', '-Wall', '-o', program, sourceOf('peer.c')], {
    encoding: 'utf8',
  })
  assert.equal(built.status, 0, built.stderr)
  return program
}

/** Starts it; `descriptor` is its fd 3. */
export function startPeer(program: string, words: string[], descriptor?: number) {
  const stdio: StdioOptions = ['pipe', 'pipe', 'inherit']
  if (descriptor !== undefined) stdio.push(descriptor)
  const started = spawn(program, words, { stdio })
  const exit = once(started, 'close')
  const lines = createInterface({ input: started.stdout! })[Symbol.asyncIterator]()
  return {
    pid: started.pid!,
    line: async (): Promise<string> => {
      const { value, done } = await lines.next()
      assert.ok(done !== true, `${words.join(' ')} ended before its next line`)
      return value
    },
    /** Lets it go on. */
    go: () => started.stdin!.write('\n'),
    /** Ends its stdin, whoever has it by now. */
    end: () => started.stdin!.end(),
    exit: async (): Promise<number | string> => {
      const [code, signal] = (await exit) as [number | null, string | null]
      return code ?? signal!
    },
    kill: () => started.kill('SIGKILL'),
  }
}
