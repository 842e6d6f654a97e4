/** What a volume is and how full. It is not opened for this; who serves it is asked, for now. */
import type { StatFs } from '../base/filesystem.js'
import type { Client } from '../client/index.js'
import { inspectVolume, type VolumeSummary } from '../layout/embedded.js'
import { connectTo, isServer, serverOf } from './connection.js'

export interface Known {
  readonly summary: VolumeSummary
  /** What its server says, as of now; null: nobody serves it. */
  readonly served: {
    readonly full: StatFs
    readonly sessions: number
    readonly holds: number
  } | null
}

export async function lookAt(volume: string): Promise<Known> {
  if (isServer(volume)) return ask(await connectTo(volume))
  const summary = inspectVolume(volume)
  if (summary.owner?.alive !== true) return { summary, served: null }
  // Whoever has it open need not serve it, nor serve us: then the superblock has to do.
  const client = await serverOf(volume).catch(() => null)
  return client === null ? { summary, served: null } : ask(client)
}

async function ask(client: Client): Promise<Known> {
  try {
    const summary = parse(await client.summary())
    const full = await client.statfs()
    const sessions = (await client.sessions()).length
    const holds = (await client.holds()).length
    // This look is one of them, and over.
    return { summary, served: { full, sessions: sessions - 1, holds } }
  } finally {
    await client.close()
  }
}

/** JSON has no bytes: there they are an object. */
function parse(json: unknown): VolumeSummary {
  const summary = json as VolumeSummary
  const { owner } = summary
  if (owner === null) return summary
  return { ...summary, owner: { ...owner, bootId: Uint8Array.from(Object.values(owner.bootId)) } }
}
