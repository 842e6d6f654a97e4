/** The server of the demo, in a process of its own: node daemon.js REGION SOCKET KEYS PORT */
import { systemCrypto } from '../../base/crypto.js'
import { systemTimers } from '../../base/timers.js'
import { Log } from '../../serve/log.js'
import { Service } from '../../serve/service.js'
import { answer, tell } from './talk.js'

const [region, socket, keys, port] = process.argv.slice(2) as [string, string, string, string]
const log = new Log({ timers: systemTimers, write: (line) => void process.stderr.write(line) })
const listen = { host: '127.0.0.1', port: Number(port), keys }
const base = { region, socket, listen, log }
const service = await Service.start({ ...base, timers: systemTimers, crypto: systemCrypto })
answer({ stop: () => service.stop() })
tell('ready', service.address!.port)
