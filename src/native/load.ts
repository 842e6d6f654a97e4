/** Finds the compiled addon and loads it. */
import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { hotCalls, type HotAddon, type HotCalls } from './hot_calls.js'
import type { Native } from './native.js'

/** What the addon itself exports. */
type Addon = Omit<Native, keyof HotCalls> & { readonly hot: HotAddon }

/**
 * The package's root: this module lies at a different depth as source and as compiled JavaScript.
 */
function packageRoot(): string {
  let directory = dirname(fileURLToPath(import.meta.url))
  while (!existsSync(join(directory, 'package.json'))) {
    const parent = dirname(directory)
    if (parent === directory) throw new Error(`no package.json above ${import.meta.url}`)
    directory = parent
  }
  return directory
}

/**
 * Loads build/native/holdfast.node, or the file that the environment variable HOLDFAST_ADDON names
 * (the sanitized build, in tests).
 */
export function loadAddon(): Native {
  const root = packageRoot()
  const chosen = process.env['HOLDFAST_ADDON']
  const path = chosen ? resolve(chosen) : join(root, 'build', 'native', 'holdfast.node')
  if (!existsSync(path)) {
    throw new Error(
      `the native addon ${path} is missing; run \`npm run install\` in ${root}` +
        ' (without a C compiler: `apt-get install gcc libc6-dev` first)',
    )
  }
  const { hot, ...others } = createRequire(import.meta.url)(path) as Addon
  return { ...others, ...hotCalls(hot) }
}
