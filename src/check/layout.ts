/** That the superblock says what a program must know to open the volume: see its table of features. */
import { LAYOUT_FLAGS } from './inode_fields.js'
import { placeOf, type Findings } from './codes.js'
import { OF_CLONES } from './orphans.js'
import type { Header, Roots } from './volume_header.js'

/** What of the volume needs the feature `layout`; null: nothing. `flags`, `kinds`: all there are. */
export function needsLayout(
  header: Pick<Header, 'policy' | 'layoutOptions'>,
  shareRoot: number,
  flags: number,
  kinds: number,
): string | null {
  if (shareRoot !== 0) return 'there are shares'
  if ((flags & LAYOUT_FLAGS) !== 0) return 'an inode shares, is fixed, sealed, or has a policy'
  if ((kinds & OF_CLONES) !== 0) return 'an orphan record is of a clone'
  if (header.policy !== 0) return `its policy is ${header.policy}`
  return header.layoutOptions === 0 ? null : `its layout options are ${header.layoutOptions}`
}

export function checkLayout(
  header: Header,
  roots: Roots,
  flags: number,
  kinds: number,
  findings: Findings,
): void {
  if (header.layoutFeature) return
  const reason = needsLayout(header, roots.shareRoot, flags, kinds)
  if (reason === null) return
  findings.add('layout-feature-missing', placeOf('superblock', 0), reason)
}
