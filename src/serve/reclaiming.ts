/** RECLAIM: a client takes a hold again that the last owner of the region had granted. */
import type { ArgsOf } from '../control/verb.js'
import type { VERBS } from '../control/verbs/index.js'
import type { Recall } from '../base/layout.js'
import { BLOCK_BYTES } from '../base/limits.js'
import type { HeldExtent } from '../layout/reclaim.js'
import type { ClientSession } from './client_session.js'
import { HeldByClient, tellRecall } from './held.js'

type Claim = ArgsOf<typeof VERBS.reclaim>

export function reclaim(session: ClientSession, claim: Claim) {
  // What it claims of limbo is believed: it must have been trusted with the region.
  session.demandMapping()
  session.demandHoldRoom()
  session.reclaiming = true
  const { volume } = session
  const { ino, generation, kind, iomode, reason } = claim
  const file = volume.openHandle(session.layout, { ino, generation }, 'r')
  try {
    const user = {
      onRecall: (id: number, recall: Recall) => tellRecall(session, id, recall),
      caughtUp: () => session.caughtUp(),
      apart: () => true,
    }
    const hold = volume.reclaim(session.layout, file, {
      kind,
      iomode: iomode ?? null,
      extents: withHoles(claim),
      reason,
      user: kind === 'lease' ? user : null,
    })
    return new HeldByClient(session, hold).granted(file)
  } finally {
    file.close()
  }
}

/** A lease for reading covers holes, too, which are not listed. */
function withHoles({ iomode, offset, length, extents }: Claim): HeldExtent[] {
  if (iomode !== 'read') return [...extents]
  const all: HeldExtent[] = []
  let at = Math.floor(offset / BLOCK_BYTES)
  const end = Math.ceil((offset + length) / BLOCK_BYTES)
  const hole = (to: number) => {
    if (to > at) all.push({ fileBlock: at, regionBlock: null, count: to - at })
  }
  for (const extent of extents) {
    hole(extent.fileBlock)
    all.push(extent)
    at = extent.fileBlock + extent.count
  }
  hole(end)
  return all
}
