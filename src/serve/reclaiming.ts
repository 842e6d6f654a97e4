/**
 * Reclaiming: a client takes holds again that the last owner of the region had granted.
 *
 *     SHOW_MAPPING …, RECLAIM …, RECLAIM_COMPLETE
 *
 * Invariant: a session reclaims between the first of these and the last, in the grace period. It
 * has shown a descriptor that has the lock of a mapping: so it was trusted with the region.
 */
import { close } from 'node:fs'
import type { ArgsOf, ResultOf } from '../control/verb.js'
import type { VERBS } from '../control/verbs/index.js'
import { HoldfastError } from '../base/errors.js'
import type { Recall } from '../base/layout.js'
import { BLOCK_BYTES } from '../base/limits.js'
import type { LayoutFile } from '../layout/file.js'
import type { HeldExtent } from '../layout/reclaim.js'
import { shownSlot } from '../region/survivor_locks.js'
import type { ClientSession } from './client_session.js'
import { HeldByClient, tellRecall } from './held.js'

type Claim = ArgsOf<typeof VERBS.reclaim>

/** A mapping is the session's. */
export function showMapping(session: ClientSession): ResultOf<typeof VERBS.showMapping> {
  const fd = session.takeDescriptor()
  try {
    session.demandMapping()
    demandGrace(session)
    if (fd === null) throw new HoldfastError('EINVAL', 'a descriptor of the region goes along')
    const { mapping } = session.server
    const slot = shownSlot(mapping.region, fd)
    mapping.show(session, slot)
    session.reclaiming = true
    return { slot }
  } finally {
    // In a thread of its own: it may be of a filesystem that does not answer.
    if (fd !== null) close(fd, () => {})
  }
}

export function reclaim(session: ClientSession, claim: Claim): ResultOf<typeof VERBS.reclaim> {
  session.demandMapping()
  demandGrace(session)
  if (!session.reclaiming) {
    throw new HoldfastError(
      'EPERM',
      'who reclaims shows a mapping first (SHOW_MAPPING), and has not said RECLAIM_COMPLETE',
    )
  }
  const { volume } = session
  const { ino, generation, kind, iomode, reason, into } = claim
  if (into === undefined) session.demandHoldRoom()
  // In nobody's name: what its permissions are now is not what they were when it was held.
  const file = volume.openInode({ ino, generation }, 'r') as LayoutFile
  file.asker = { session: session.layout }
  try {
    const user = {
      onRecall: (id: number, recall: Recall) => tellRecall(session, id, recall),
      caughtUp: () => session.caughtUp(),
      apart: () => true,
    }
    const { hold, filed } = file.reclaimPart(session.layout, {
      kind,
      iomode: iomode ?? null,
      extents: withHoles(claim),
      reason,
      user: kind === 'lease' ? user : null,
      into: into === undefined ? undefined : session.held(into).hold,
    })
    if (into === undefined) new HeldByClient(session, hold)
    return { id: hold.id, layout: volume.layoutId(file), blocks: filed }
  } finally {
    file.close()
  }
}

export function reclaimDone(
  session: ClientSession,
  slots: readonly number[],
): Record<never, never> {
  session.demandMapping()
  session.server.grace.claim(session, slots)
  return {}
}

function demandGrace({ volume }: ClientSession): void {
  if (volume.inGrace) return
  throw new HoldfastError('ESTALE', 'there is no grace period: what was held before it has ended')
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
