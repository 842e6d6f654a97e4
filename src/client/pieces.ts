/** Bytes that go through the connection in pieces: one call each. */
/** Calls for one piece of data each that are under way at a time. */
export const PIECES_UNDER_WAY = 4

/** Runs `work` for pieces 0, 1, …, some at a time, begun in their order. */
export async function eachPiece(
  pieces: number,
  work: (piece: number) => Promise<void>,
  atOnce = PIECES_UNDER_WAY,
): Promise<void> {
  if (pieces === 1) return work(0)
  let next = 0
  const run = async () => {
    while (next < pieces) await work(next++)
  }
  await Promise.all(Array.from({ length: Math.min(atOnce, pieces) }, run))
}
