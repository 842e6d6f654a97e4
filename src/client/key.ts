/** A client's own key: FILE, or FILE#ID, or what HOLDFAST_KEY names so. */
import { HoldfastError } from '../base/errors.js'
import { readPrivateFile } from '../base/private_file.js'
import type { KeySecret } from '../control/handshake.js'
import { invalidKeyId, KEY_FILE_BYTES_MAX, parseKeys } from '../control/keys.js'

export const KEY_VARIABLE = 'HOLDFAST_KEY'

/**
 * The key that `spec` names: the only one of a file, or the one after the last #. Without `spec`
 * it is what HOLDFAST_KEY holds; null when that holds nothing.
 */
export function loadKey(spec = process.env[KEY_VARIABLE] ?? ''): KeySecret | null {
  if (spec === '') return null
  const { path, id } = splitSpec(spec)
  const keys = parseKeys(readPrivateFile(path, { most: KEY_FILE_BYTES_MAX }), path)
  const [only] = keys.values()
  if (only === undefined) {
    throw new HoldfastError('EINVAL', 'there is no key in it; `holdfast keys make` makes one', {
      path,
    })
  }
  if (id === null && keys.size > 1) {
    const ids = [...keys.keys()].slice(0, 5).join(', ')
    const detail = `${keys.size} keys are in it; say which as FILE#ID: ${ids}${keys.size > 5 ? ', …' : ''}`
    throw new HoldfastError('EINVAL', detail, { path })
  }
  const key = id === null ? only : keys.get(id)
  if (key === undefined)
    throw new HoldfastError('ENOENT', `there is no key '${id}' in it`, { path })
  return { id: key.id, secret: key.secret }
}

function splitSpec(spec: string): { path: string; id: string | null } {
  const hash = spec.lastIndexOf('#')
  if (hash < 0 || invalidKeyId(spec.slice(hash + 1)) !== null) return { path: spec, id: null }
  return { path: spec.slice(0, hash), id: spec.slice(hash + 1) }
}
