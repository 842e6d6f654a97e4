/** Operations as data, and the paths that they name. */
import type { OpenFlags } from '../../src/base/filesystem.js'
import type { FilesystemModel } from './filesystem_model.js'

/**
 * A path, named by what the tree holds when the operation is due, so that it mostly leads
 * somewhere, also after shrinking took other operations away. Text is latin1: a byte a character.
 */
export type Place =
  /** The pick-th path that exists. */
  | { readonly at: 'existing'; readonly pick: number; readonly slash: boolean }
  /** A name in the pick-th directory (or, rarely, below a file). */
  | { readonly at: 'below'; readonly pick: number; readonly name: string; readonly slash: boolean }
  | { readonly at: 'raw'; readonly path: string }

export type Operation =
  | { readonly do: 'open'; readonly slot: number; readonly place: Place; readonly flags: OpenFlags }
  | { readonly do: 'close' | 'fstat' | 'fsync' | 'extents'; readonly slot: number }
  | {
      readonly do: 'write'
      readonly slot: number
      readonly position: number | null
      readonly length: number
      readonly fill: number
    }
  | {
      readonly do: 'read'
      readonly slot: number
      readonly position: number | null
      readonly length: number
    }
  | { readonly do: 'ftruncate'; readonly slot: number; readonly size: number }
  | { readonly do: 'truncate'; readonly place: Place; readonly size: number }
  | {
      readonly do: 'stat' | 'mkdir' | 'rmdir' | 'unlink' | 'readFile' | 'create'
      readonly place: Place
    }
  | { readonly do: 'rename' | 'link'; readonly place: Place; readonly to: Place }
  | { readonly do: 'crowd' | 'clear'; readonly place: Place; readonly count: number }
  | { readonly do: 'list'; readonly place: Place; readonly limit: number }
  | { readonly do: 'listFirst'; readonly place: Place; readonly limit: number }
  | { readonly do: 'listNext'; readonly limit: number }
  | { readonly do: 'sync' | 'remount' | 'reopen' | 'abandon' }

/** The path that a place stands for in this tree. */
export function pathOf(place: Place, model: FilesystemModel): string {
  if (place.at === 'raw') return place.path
  const paths = model.paths()
  const slashed = place.slash ? '/' : ''
  if (place.at === 'existing') return paths[place.pick % paths.length]! + slashed
  const directories = model.paths('directory')
  // One in 32 below whatever there is, mostly a file: ENOTDIR.
  const from = place.pick % 32 === 31 ? paths : directories
  return `${from[place.pick % from.length]!}/${place.name}${slashed}`
}

/** Text of the model as a path: a string where it is plain, bytes where it is not. */
export function toPath(text: string): string | Uint8Array {
  return /^[\x00-\x7f]*$/.test(text) ? text : Buffer.from(text, 'latin1')
}
