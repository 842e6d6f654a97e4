/**
 * Runs command lines one after another in one process, which is many times faster than a process
 * each: a line of JSON in (the arguments), a line of JSON out (exit code, what was printed).
 */
import { createInterface } from 'node:readline'
import { run } from '../../src/cli/program.js'

type Write = typeof process.stdout.write

const reply = process.stdout.write.bind(process.stdout)

/** Keeps what is written to a stream from now on. */
function capture(stream: NodeJS.WriteStream): () => string {
  const chunks: Buffer[] = []
  const write = (chunk: string | Uint8Array, encoding?: unknown, done?: unknown): boolean => {
    chunks.push(Buffer.from(chunk as Uint8Array))
    const callback = typeof encoding === 'function' ? encoding : done
    if (typeof callback === 'function') setImmediate(callback as () => void)
    return true
  }
  stream.write = write as Write
  return () => Buffer.concat(chunks).toString('base64')
}

for await (const line of createInterface({ input: process.stdin })) {
  const out = capture(process.stdout)
  const err = capture(process.stderr)
  process.exitCode = 0
  const code = await run(JSON.parse(line) as string[])
  reply(`${JSON.stringify({ code, out: out(), err: err() })}\n`)
}
process.exitCode = 0
