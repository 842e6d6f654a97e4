/**
 * The other side of actor.ts, in the program: does what the test calls, and ends when the test has
 * closed the channel, or is gone.
 */
import { createInterface } from 'node:readline'
import { decode, encode, type Call, type Said } from './channel.js'

// eslint-disable-next-line @typescript-eslint/no-explicit-any -- the test knows what it passes
export type Handlers = Readonly<Record<string, (args: any) => unknown>>

function say(said: Said): void {
  process.stdout.write(`${encode(said)}\n`)
}

/** Tells the test of something that it did not call for. */
export function tell(event: string, value: unknown = null): void {
  say({ event, value })
}

async function answer(handlers: Handlers, { id, call, args }: Call): Promise<void> {
  try {
    const handler = handlers[call]
    if (handler === undefined) throw new Error(`there is no call ${call}`)
    say({ id, result: (await handler(args)) ?? null })
  } catch (error) {
    const { message, stack, code } = error as NodeJS.ErrnoException
    const known = {
      ...(code === undefined ? {} : { code }),
      ...(stack === undefined ? {} : { stack }),
    }
    say({ id, error: { message, ...known } })
  }
}

/** Calls are begun in their order; those that wait do not keep others waiting. */
export function serve(handlers: Handlers): void {
  const lines = createInterface({ input: process.stdin })
  lines.on('line', (line) => void answer(handlers, decode(line) as Call))
  lines.on('close', () => process.exit(0))
  tell('ready')
}
