#!/usr/bin/env node
/** The command `holdfast`. */
import { processArguments } from './arguments.js'
import { watchSignals } from './interrupt.js'
import { run } from './program.js'

watchSignals()
process.exitCode = await run(processArguments())
