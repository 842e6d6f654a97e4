/**
 * npm run bench [-- operations | scale] [-- options]: each part says its options at its top.
 */
import { operations } from './operations.js'
import { scale } from './scale.js'

const PARTS: Readonly<Record<string, (args: string[]) => void>> = { operations, scale }

function main(): void {
  const args = process.argv.slice(2)
  const name = args[0] === undefined || args[0].startsWith('-') ? 'operations' : args.shift()!
  const part = PARTS[name]
  if (part === undefined) {
    console.error(`bench: no part '${name}'; there are ${Object.keys(PARTS).join(', ')}`)
    process.exitCode = 2
    return
  }
  part(args)
}

main()
