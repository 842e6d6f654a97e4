/**
 * The keys that a server takes, from its key file (control/keys.ts says its form).
 *
 * Invariant: what is in force was read whole and without an error. A reload that fails changes
 * nothing.
 */
import { readPrivateFile } from '../base/private_file.js'
import { KEY_FILE_BYTES_MAX, parseServerKeys, type Key } from '../control/keys.js'

/** Ids by what became of them with a reload. */
export interface KeyChanges {
  readonly added: readonly string[]
  /** Sessions with such a key are to end: it is not there any more. */
  readonly removed: readonly string[]
  /** Another secret, or other rights: sessions are to end and come again with what it is now. */
  readonly changed: readonly string[]
}

export const readServerKeys = (path: string): Map<string, Key> =>
  parseServerKeys(readPrivateFile(path, { most: KEY_FILE_BYTES_MAX, own: true }), path)

export class KeyFile {
  readonly path: string
  #keys: Map<string, Key>

  constructor(path: string) {
    this.path = path
    this.#keys = readServerKeys(path)
  }

  get size(): number {
    return this.#keys.size
  }

  lookup(id: string): Key | undefined {
    return this.#keys.get(id)
  }

  /** Reads the file again. An error leaves the keys as they are. */
  reload(): KeyChanges {
    const before = this.#keys
    const after = readServerKeys(this.path)
    const ids = [...before.keys()]
    const differs = (id: string) => {
      const key = after.get(id)
      return key !== undefined && !sameKey(before.get(id)!, key)
    }
    this.#keys = after
    return {
      added: [...after.keys()].filter((id) => !before.has(id)),
      removed: ids.filter((id) => !after.has(id)),
      changed: ids.filter(differs),
    }
  }
}

/** Comments and the order of groups make no difference. */
function sameKey(a: Key, b: Key): boolean {
  const sorted = ({ groups }: Key['identity']) => [...groups].sort((x, y) => x - y).join()
  return (
    Buffer.compare(a.secret, b.secret) === 0 &&
    a.identity.uid === b.identity.uid &&
    a.identity.gid === b.identity.gid &&
    a.identity.readOnly === b.identity.readOnly &&
    sorted(a.identity) === sorted(b.identity)
  )
}
