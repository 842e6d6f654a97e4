/** The words after -o of `holdfast mount`, as mount(8) and fstab(5) have them. */
import { InvalidArgumentError } from 'commander'
import type { CacheMode } from '../fuse/coherence.js'

export interface MountWords {
  readonly mode: CacheMode
  readonly readOnly: boolean
  /** Null: root lets others in, and nobody else does. */
  readonly allowOther: boolean | null
  readonly suid: boolean
  readonly dev: boolean
  readonly exec: boolean
  /** Seconds that a lost server is looked for before programs get EIO; Infinity: for ever. */
  readonly wait: number
  readonly key: string | undefined
}

/** Of mount(8) itself, of fstab(5), and of systemd: they say nothing to a filesystem. */
const IGNORED = new RegExp(
  '^(rw|defaults|(no)?auto|nofail|_netdev|(no)?user|users|owner|group|async|' +
    '(no)?atime|relatime|strictatime|(no)?diratime|x-.*|comment=.*)$',
)

const WAIT_SECONDS = 10

const INITIAL: MountWords = {
  mode: 'direct',
  readOnly: false,
  allowOther: null,
  suid: false,
  dev: false,
  exec: true,
  wait: WAIT_SECONDS,
  key: undefined,
}

const WORDS: Readonly<Record<string, Partial<MountWords>>> = {
  direct: { mode: 'direct' },
  cache: { mode: 'cache' },
  exclusive: { mode: 'exclusive' },
  ro: { readOnly: true },
  allow_other: { allowOther: true },
  noallow_other: { allowOther: false },
  suid: { suid: true },
  nosuid: { suid: false },
  dev: { dev: true },
  nodev: { dev: false },
  exec: { exec: true },
  noexec: { exec: false },
  hard: { wait: Infinity },
}

/** Of one -o; those of more come one after the other. */
export function addMountWords(text: string, before: MountWords = INITIAL): MountWords {
  let words = before
  for (const word of text.split(',').filter((some) => some !== '')) {
    words = { ...words, ...meaningOf(word) }
  }
  return words
}

export const noMountWords = (): MountWords => INITIAL

function meaningOf(word: string): Partial<MountWords> {
  if (Object.hasOwn(WORDS, word)) return WORDS[word]!
  if (IGNORED.test(word)) return {}
  if (word.startsWith('key=')) return { key: word.slice('key='.length) }
  const wait = /^wait=(\d+)$/.exec(word)
  if (wait !== null) return { wait: Number(wait[1]) }
  const known = [...Object.keys(WORDS), 'wait=SECONDS', 'key=FILE']
  throw new InvalidArgumentError(`option '${word}' is none of ${known.join(', ')}`)
}
