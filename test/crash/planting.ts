/** Plants a bug in a running volume, and asks that the enumeration of crash states finds it. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CrashFailure } from './explorer.js'
import type { Call } from './model.js'
import { Program, type Setting } from './program.js'
import { BASE } from './programs.js'

const SEED = 20_141

export interface Bug {
  readonly name: string
  readonly calls: readonly Call[]
  readonly before?: readonly Call[]
  readonly setting?: Partial<Setting>
}

function run(bug: Bug, planted: boolean): CrashFailure | null {
  const { plant, plantRecovery, ...rest } = bug.setting ?? {}
  const program = new Program(
    {
      sync: 'always',
      persistence: 'flush',
      seed: SEED,
      sample: 200,
      ...rest,
      ...(planted && plant !== undefined ? { plant } : {}),
      ...(planted && plantRecovery !== undefined ? { plantRecovery } : {}),
    },
    new Set(),
  )
  try {
    program.prepare(bug.before ?? BASE)
    program.run(bug.calls)
    return null
  } catch (error) {
    if (error instanceof CrashFailure) return error
    throw error
  } finally {
    program.end()
  }
}

export function planted(bug: Bug): void {
  test(`${bug.name}: caught, and only when planted`, (t) => {
    assert.equal(run(bug, false), null, 'without the bug every state is as it should be')
    const failure = run(bug, true)
    assert.ok(failure !== null, 'no crash state gave the bug away')
    t.diagnostic(failure.message.split('\n')[0]!.slice(0, 300))
  })
}

/** Replaces a method on one object; returns what puts it back. */
export function replace<T extends object, K extends keyof T>(
  object: T,
  key: K,
  make: (original: T[K]) => T[K],
): () => void {
  const original = object[key]
  const bound = typeof original === 'function' ? (original.bind(object) as T[K]) : original
  Object.defineProperty(object, key, { value: make(bound), configurable: true, writable: true })
  return () => void delete object[key]
}
