/** HELLO. */
import { bool, fixed, size, struct, u32 } from '../schema.js'
import { regionFacts, words } from '../types.js'
import { verb } from '../verb.js'

export const hello = verb(
  1,
  'HELLO',
  'Begins a session: the first call of a connection.',
  struct('hello_args', {
    version: u32,
    versionMin: u32,
    capabilities: u32,
    name: words,
    umask: u32,
  }),
  struct('hello_result', {
    version: u32,
    capabilities: u32,
    session: u32,
    privileged: bool,
    uid: u32,
    volume: fixed(16),
    epoch: size,
    label: words,
    mapping: bool,
    region: regionFacts,
    keepalive: u32,
    grace: bool,
  }),
)
