/** Numbers of named records among those of one hash. */
import type { Records } from './tree_builder.js'

const ORDINAL_MAX = 0xffff
/** Upper half of the second word of a record that has no number yet. */
export const UNNUMBERED = (ORDINAL_MAX << 16) >>> 0

/** Sorts records, and gives those of one hash different numbers: each keeps its own if it can. */
export function numberRecords(records: Records): void {
  records.sort(2)
  for (let i = 0; i < records.length;) {
    let end = i + 1
    while (end < records.length && records.at(end)[0] === records.at(i)[0]) end++
    if (end - i > 1 || records.at(i)[1]! >>> 16 === ORDINAL_MAX) numberGroup(records, i, end)
    i = end
  }
  records.sort(2)
}

function numberGroup(records: Records, from: number, to: number): void {
  const used = new Set<number>()
  const again: number[] = []
  for (let i = from; i < to; i++) {
    const number = records.at(i)[1]! >>> 16
    if (number === ORDINAL_MAX || used.has(number)) again.push(i)
    else used.add(number)
  }
  let next = 0
  for (const i of again) {
    while (used.has(next)) next++
    used.add(next)
    const record = records.at(i)
    record[1] = ((next << 16) | (record[1]! & 0xffff)) >>> 0
  }
}
