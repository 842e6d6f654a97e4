/** Modes as chmod(1) takes them: octal, or clauses like u=rwx,go-w,a+X. */
import { InvalidArgumentError } from 'commander'

/** The mode that a file with `mode` gets. */
export type ModeChange = (mode: number, isDirectory: boolean) => number

/** Permission bits of each class in its own place: user 0o700, group 0o070, other 0o007. */
const CLASS = { u: 0o4700, g: 0o2070, o: 0o1007 } as const
type Class = keyof typeof CLASS
const SHIFT = { u: 6, g: 3, o: 0 } as const

const WRONG = 'a mode is octal, as 0644, or clauses, as u=rwx,go-w'

/** `umask`: what a clause without u, g, o or a leaves alone. */
export function parseModeChange(text: string, umask: number): ModeChange {
  if (/^[0-7]{1,5}$/.test(text) && Number.parseInt(text, 8) <= 0o7777) {
    const bits = Number.parseInt(text, 8)
    return () => bits
  }
  const clauses = text.split(',').flatMap((clause) => parseClause(clause, umask))
  return (mode, isDirectory) =>
    clauses.reduce((before, clause) => clause(before, isDirectory), mode & 0o7777)
}

/** Permissions of a new file when nothing is asked for. */
export function newFileMode(): number {
  return 0o666 & ~process.umask()
}

/** For `option(...NEW_MODE_OPTION)`. */
export const NEW_MODE_OPTION = [
  '-m, --mode <mode>',
  'permissions, as chmod takes them (default: 0666 without the umask)',
  (text: string) => parseModeChange(text, process.umask())(0o666, false),
] as const

function parseClause(clause: string, umask: number): ModeChange[] {
  const parts = /^([ugoa]*)((?:[-+=](?:[rwxXst]*|[ugo]))+)$/.exec(clause)
  if (parts === null) throw new InvalidArgumentError(WRONG)
  const [, who = '', actions = ''] = parts
  const classes = (['u', 'g', 'o'] as const).filter(
    (one) => who === '' || who.includes('a') || who.includes(one),
  )
  const masked = who === '' ? ~umask : -1
  return [...actions.matchAll(/([-+=])([ugo]|[rwxXst]*)/g)].map(
    ([, action = '', what = '']): ModeChange =>
      (mode, isDirectory) => {
        const bits = bitsOf(what, classes, mode, isDirectory) & masked
        if (action === '+') return mode | bits
        if (action === '-') return mode & ~bits
        let touched = classes.reduce((sum, one) => sum | CLASS[one], 0) & masked
        // A directory keeps its set-id bits unless they are named, and `o=` does not say sticky.
        if (isDirectory) touched &= ~0o6000
        if (who !== '' && !who.includes('a')) touched &= ~0o1000
        return (mode & ~touched) | bits
      },
  )
}

function bitsOf(
  what: string,
  classes: readonly Class[],
  mode: number,
  isDirectory: boolean,
): number {
  let bits = 0
  if (/^[ugo]$/.test(what)) {
    const copied = (mode >> SHIFT[what as Class]) & 7
    for (const one of classes) bits |= copied << SHIFT[one]
    return bits
  }
  for (const letter of what) {
    const runs = isDirectory || (mode & 0o111) !== 0
    const value = { r: 4, w: 2, x: 1, X: runs ? 1 : 0 }[letter] ?? 0
    for (const one of classes) bits |= value << SHIFT[one]
    if (letter === 's' && classes.includes('u')) bits |= 0o4000
    if (letter === 's' && classes.includes('g')) bits |= 0o2000
    if (letter === 't') bits |= 0o1000
  }
  return bits
}
