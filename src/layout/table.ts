/**
 * Change x hold: what a layout change does where its range overlaps a hold, or where the file is
 * `fixed`. The contract's table, and the only place in the code that knows it. Who looks up one
 * cell for each hold in the way, and acts on the worst of them, is the arbiter.
 *
 * The contract's first column is not here: mediated access looks the layout up each time and is in
 * nobody's way.
 */
import type { HoldKind, Iomode, LayoutChange, ShareMode } from '../base/layout.js'

/**
 * What is to be done about one hold:
 * - `ok`: nothing, they do not conflict;
 * - `recall`: it is asked back, and fenced at its deadline; a form that never waits: EBUSY;
 * - `copy`: the destination gets a copy of these blocks, which stay as they are;
 * - `policy`: what the policy says of pinned blocks: refuse, wait, or defer;
 * - `EBUSY`, `ETXTBSY`, `EPERM`: the change is refused;
 * - `never`: the two cannot meet; if they do, the mechanism is broken.
 */
export type Verdict = 'ok' | 'recall' | 'copy' | 'policy' | 'EBUSY' | 'ETXTBSY' | 'EPERM' | 'never'

/** What a cell may depend on. */
export interface Circumstances {
  /** How a share was asked for; 'strict' when left out. */
  readonly share?: ShareMode
  /** Whether the `fixed` file is write-sealed as well; false when left out. */
  readonly writeSealed?: boolean
}

/** A verdict, or one for each mode of sharing, of a file that is not write-sealed or that is. */
type Cell =
  | Verdict
  | Readonly<Record<ShareMode, Verdict>>
  | { readonly writeSealed: Verdict; readonly otherwise: Readonly<Record<ShareMode, Verdict>> }

const SEALED = { strict: 'ETXTBSY', copy: 'copy' } as const
const PINNED = { strict: 'EBUSY', copy: 'copy' } as const
/** Two owners of blocks that nobody may write any more do no harm. */
const FIXED = { writeSealed: 'ok', otherwise: { strict: 'EPERM', copy: 'copy' } } as const

/** The columns, in the order of the rows below. */
export const HOLD_CLASSES = ['readLease', 'rwLease', 'seal', 'pin', 'fixed'] as const

/** A column of the table. */
export type HoldClass = (typeof HOLD_CLASSES)[number]

type Row = readonly [Cell, Cell, Cell, Cell, Cell]

/**
 * Why some cells are `never`: a hold other than a read lease populates and unshares its range
 * before it is granted, as `fix` does, and what was granted stays so.
 */
// prettier-ignore
export const CHANGE_TABLE: Readonly<Record<LayoutChange, Row>> = {
  //         read lease  rw lease   seal        pin        fixed
  grow:      ['recall',  'never',   'never',    'never',   'EPERM'],
  shrink:    ['recall',  'recall',  'ETXTBSY',  'policy',  'EPERM'],
  punch:     ['recall',  'recall',  'ETXTBSY',  'policy',  'EPERM'],
  shareInto: ['recall',  'recall',  'ETXTBSY',  'policy',  'EPERM'],
  share:     ['ok',      'recall',  SEALED,     PINNED,    FIXED  ],
  unshare:   ['recall',  'never',   'never',    'never',   'never'],
  move:      ['recall',  'recall',  'ETXTBSY',  'EBUSY',   'EPERM'],
  shift:     ['recall',  'recall',  'ETXTBSY',  'EBUSY',   'EPERM'],
}

const COLUMN: Readonly<Record<HoldClass, 0 | 1 | 2 | 3 | 4>> = {
  readLease: 0,
  rwLease: 1,
  seal: 2,
  pin: 3,
  fixed: 4,
}

const PLAIN: Circumstances = {}

/** The verdict of one cell. */
export function verdictOf(
  change: LayoutChange,
  against: HoldClass,
  { share = 'strict', writeSealed = false }: Circumstances = PLAIN,
): Verdict {
  const cell = CHANGE_TABLE[change][COLUMN[against]]
  if (typeof cell === 'string') return cell
  if (!('writeSealed' in cell)) return cell[share]
  return writeSealed ? cell.writeSealed : cell.otherwise[share]
}

/** What a hold can be; `fixed` is a file's, and no hold. */
export type HeldClass = Exclude<HoldClass, 'fixed'>

export function kindOfClass(held: HeldClass): HoldKind {
  return held === 'pin' || held === 'seal' ? held : 'lease'
}

/** Null unless it is a lease. */
export function iomodeOfClass(held: HeldClass): Iomode | null {
  if (held === 'pin' || held === 'seal') return null
  return held === 'readLease' ? 'read' : 'rw'
}

/** The column of a hold. */
export function holdClassOf(kind: HoldKind, iomode: Iomode | null): HeldClass {
  if (kind !== 'lease') return kind
  return iomode === 'read' ? 'readLease' : 'rwLease'
}
