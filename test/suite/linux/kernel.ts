/**
 * Linux as what steps are made to: a program in C makes the calls, each as the user that asks, in a
 * directory of its own. What it answers is the measure for a volume.
 */
import assert from 'node:assert/strict'
import { chmodSync, mkdtempSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import type { Credentials } from '../../../src/base/filesystem.js'
import { USERS, type Call, type Subject } from '../steps.js'
import { valueText } from '../subject.js'
import { Caller } from './caller.js'

export { CALLS, compileCalls, prepareKernel } from './caller.js'

export class KernelSubject implements Subject {
  readonly #directory: string
  readonly #caller: Caller
  /** Whoever opened a slot makes the calls on it. */
  readonly #openers = new Map<number, Credentials>()

  /** `parent`: a directory on the filesystem that is asked. */
  constructor(parent: string) {
    this.#directory = mkdtempSync(join(parent, 'holdfast-linux-'))
    chmodSync(this.#directory, 0o755)
    this.#caller = new Caller(this.#directory)
  }

  async run(as: Credentials, { name, args }: Call): Promise<string> {
    let asks = as
    const onHandle = typeof args[0] === 'number'
    if (onHandle && name !== 'open' && name !== 'linkfd')
      asks = this.#openers.get(args[0] as number) ?? as
    const answer = await this.#caller.ask(asks, name, args)
    if ('errno' in answer) return answer.errno
    if (name === 'open') this.#openers.set(args[0] as number, as)
    return valueOf(name, args, answer.value)
  }

  async tick(): Promise<void> {
    await this.run(USERS.root, { name: 'tick', args: [] })
  }

  async readOnly(): Promise<void> {
    assert.equal(await this.run(USERS.root, { name: 'readonly', args: [] }), '')
  }

  async finish(): Promise<void> {
    await this.run(USERS.root, { name: 'writable', args: [] })
    await this.run(USERS.root, { name: 'unflag', args: [] })
    await this.#caller.end()
    rmSync(this.#directory, { recursive: true, force: true })
  }
}

function valueOf(name: string, args: readonly (number | Buffer)[], answer: string): string {
  const bytes = (hex: string) => Buffer.from(hex.slice(1), 'hex')
  const latin1 = (hex: string) => bytes(hex).toString('latin1')
  if (name === 'readdir') {
    return answer.split(' ').filter(Boolean).map(latin1).sort().join(' ')
  }
  if (name === 'listxattr') return latin1(answer).split('\0').filter(Boolean).sort().join(' ')
  if (name.endsWith('getxattr')) return valueText((args[1] as Buffer).toString(), bytes(answer))
  return answer.startsWith('x') ? latin1(answer) : answer
}
