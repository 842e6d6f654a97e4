#!/usr/bin/env node
/**
 * mount.holdfast: what mount(8) runs for `mount -t holdfast`, and for lines of fstab(5):
 *
 *     mount.holdfast SOURCE DIRECTORY [-sfnv] [-N NAMESPACE] [-o OPTIONS] [-t TYPE]
 */
import { processArguments } from './arguments.js'
import { watchSignals } from './interrupt.js'
import { run } from './program.js'

const USAGE = 'usage: mount.holdfast SOURCE DIRECTORY [-sfnv] [-o OPTIONS]\n'
const EXIT_USAGE = 1

/** The command line of `holdfast mount` for it; null: it only pretends (-f), undefined: usage. */
function commandOf(args: readonly string[]): string[] | null | undefined {
  const places: string[] = []
  const options: string[] = []
  let pretends = false
  for (let i = 0; i < args.length; i++) {
    const word = args[i]!
    if (word === '-o') options.push(args[++i] ?? '')
    else if (word === '-t' || word === '-N') i++
    else if (/^-[sfnv]+$/.test(word)) pretends ||= word.includes('f')
    else places.push(word)
  }
  if (places.length !== 2) return undefined
  if (pretends) return null
  const words = options.flatMap((list) => ['-o', list])
  return ['mount', '--daemon', ...words, ...places]
}

watchSignals()
const command = commandOf(processArguments())
if (command === undefined) {
  process.stderr.write(USAGE)
  process.exitCode = EXIT_USAGE
} else if (command !== null) process.exitCode = await run(command)
