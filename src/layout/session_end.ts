/** The end of a session: all that it holds ends with it. */
import type { Holds } from './holds.js'
import type { Session } from './session.js'

/**
 * What can be cut off ends when it has drained, all else at once. Resolves when nothing is left of
 * it; rejects, then, when the medium failed.
 */
export async function endSession(holds: Holds, session: Session): Promise<void> {
  const { table, sessions } = holds
  const ids: number[] = []
  table.ofOwner(session.id, (slot) => ids.push(table.idOf(slot)))
  const ends = await Promise.allSettled(ids.map((id) => endNow(holds, id)))
  sessions.delete(session.id)
  for (const end of ends) if (end.status === 'rejected') throw end.reason
}

async function endNow(holds: Holds, id: number): Promise<void> {
  const { table, draining, users } = holds
  const slot = table.find(id)
  if (slot < 0) return // what cuts one off may have released another
  const drain = draining.get(id)
  const revokes = users.get(slot)?.revoke !== undefined
  if (!revokes && drain === undefined) return holds.end(slot)
  if (await (drain?.done ?? holds.cutOff(slot))) return
  // That it could not be cut off mattered as long as it had a session.
  const now = table.find(id)
  if (now >= 0) holds.end(now)
}
