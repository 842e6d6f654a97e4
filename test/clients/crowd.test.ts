/**
 * A crowd of clients (crowd.ts). SEED repeats what is done, though not when; HOLDFAST_CROWD_SECONDS
 * says how long, HOLDFAST_CROWD how many programs and clients in each: what fails with many may be
 * tried with few.
 */
import { processTest, seedOf } from '../processes/program.js'
import { Crowd } from './crowd.js'
import { Scene } from './scene.js'

const seconds = Number(process.env['HOLDFAST_CROWD_SECONDS'] ?? 8)
const [programs = 3, clients = 4] = (process.env['HOLDFAST_CROWD'] ?? '').split('x').map(Number)
const loud = process.env['HOLDFAST_CROWD_SAYS'] !== undefined

processTest(
  'whatever dies, nobody sees the bytes of another file, and nothing is lost or left behind',
  {},
  async (all, t) => {
    const seed = seedOf(t)
    const scene = Scene.make(all, t, { bytes: 64 << 20, seconds: seconds + 120 })
    const options = { seed, seconds, pace: 150, programs: programs || 3, clients }
    const say = loud ? (text: string) => process.stderr.write(`${text}\n`) : () => {}
    t.diagnostic(await new Crowd(scene, { ...options, say }).run())
  },
)
