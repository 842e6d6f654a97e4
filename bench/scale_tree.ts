/** The names of a volume of many files: all in one directory, or in a tree ten names wide. */

export type Shape = 'flat' | 'deep'

/**
 * The path of file `i` of `count` (a power of ten). Flat: one directory of all. Deep: ten names a
 * directory, as many levels as `count` has zeros.
 */
export function pathOf(shape: Shape, count: number, i: number): string {
  if (shape === 'flat') return `/flat/file${i}`
  const digits = String(i).padStart(String(count).length - 1, '0')
  return `/${[...digits.slice(0, -1)].join('/')}/file${digits.at(-1)!}`
}

/** The directories above the files, parents first. */
export function* directoriesOf(shape: Shape, count: number): Generator<string> {
  if (shape === 'flat') {
    yield '/flat'
    return
  }
  for (let level = 1; level < String(count).length - 1; level++) {
    for (let i = 0; i < 10 ** level; i++) {
      yield `/${[...String(i).padStart(level, '0')].join('/')}`
    }
  }
}
