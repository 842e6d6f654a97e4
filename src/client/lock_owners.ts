/** Lock owners: any values here, numbers in the protocol. */

const ownerNumbers = new Map<unknown, number>()
const ownersByNumber = new Map<number, unknown>()

/** The same value, the same number, in this process. */
export function numberOf(owner: unknown): number {
  let number = ownerNumbers.get(owner)
  if (number === undefined) {
    number = ownerNumbers.size + 1
    ownerNumbers.set(owner, number)
    ownersByNumber.set(number, owner)
  }
  return number
}

export const ownerNumbered = (number: number) => ownersByNumber.get(number)
