/** A program for the tests of the harness itself. */
import { serve, tell } from './serve.js'

serve({
  echo: (args: unknown) => args,
  fail: () => {
    throw Object.assign(new Error('it does not'), { code: 'EIO' })
  },
  complain: ({ text }: { text: string }) => void process.stderr.write(`${text}\n`),
  end: ({ status }: { status: number }) => process.exit(status),
  never: () => new Promise(() => {}),
  later: ({ text }: { text: string }) => setImmediate(() => tell('later', text)),
  pid: () => process.pid,
})
