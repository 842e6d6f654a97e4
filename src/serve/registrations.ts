/**
 * Registrations: ranges of files that the data connections of a session reach, by STag. Offsets are
 * those of the file.
 *
 * Invariants:
 * - one belongs to the protection domain of its session, and to one hold of it, or to none: then it
 *   is on demand;
 * - it ends with its hold, before that ends; and with its session.
 */
import { HoldfastError } from '../base/errors.js'
import { FILE_BYTES_MAX } from '../base/limits.js'
import type { LayoutFile } from '../layout/file.js'
import type { AccessName, MemoryRegion } from '../rdma/index.js'
import type { ClientSession } from './client_session.js'
import { FileSource } from './file_source.js'
import type { HeldByClient } from './held.js'
import { HeldSource } from './held_source.js'

/** Registrations that one session may have. */
const REGISTRATIONS_MAX = 16_384

const READ: readonly AccessName[] = ['remoteRead']
const WRITE: readonly AccessName[] = ['localWrite', 'remoteRead', 'remoteWrite', 'remoteAtomic']

export class Registration {
  readonly region: MemoryRegion
  readonly source: HeldSource | FileSource
  readonly held: HeldByClient | null
  readonly #session: ClientSession

  private constructor(
    session: ClientSession,
    source: HeldSource | FileSource,
    held: HeldByClient | null,
    write: boolean,
  ) {
    if (session.registrations.size >= REGISTRATIONS_MAX) {
      throw new HoldfastError('ENOMEM', `the session has ${REGISTRATIONS_MAX} registrations`)
    }
    this.#session = session
    this.source = source
    this.held = held
    this.region = session.domain.register(source, { access: write ? WRITE : READ })
    session.registrations.set(this.region.stag, this)
    held?.registrations.add(this)
  }

  /** What a hold covers. */
  static ofHold(session: ClientSession, held: HeldByClient, write: boolean): Registration {
    if (write && held.hold.iomode === 'read') {
      throw new HoldfastError('EACCES', `hold ${held.hold.id} is a lease for reading`)
    }
    return new Registration(session, new HeldSource(session.volume, held.hold), held, write)
  }

  /** A file, wherever its blocks are at each access. */
  static onDemand(session: ClientSession, file: LayoutFile, write: boolean): Registration {
    let stag = 0
    const source = new FileSource(session.volume, file, {
      length: FILE_BYTES_MAX,
      refused: (error) => session.unplaced(stag, error),
    })
    try {
      const registration = new Registration(session, source, null, write)
      stag = registration.region.stag
      return registration
    } catch (error) {
      source.close()
      throw error
    }
  }

  /** Nobody reaches it any more when this returns. */
  end(): void {
    this.region.invalidate()
    this.#session.registrations.delete(this.region.stag)
    this.held?.registrations.delete(this)
    this.source.close()
  }
}
