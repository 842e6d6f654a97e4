/** A test that never ends: says the process ids of two programs that it has; one stands still. */
import { Actor } from './actor.js'
import { Programs } from './program.js'

const programs = new Programs()
const one = await Actor.start(programs, import.meta.url, './echo.js')
const other = await Actor.start(programs, import.meta.url, './echo.js')
await other.stop()
process.stdout.write(`${one.pid} ${other.pid}\n`)
