/** Does something `count` times, so many at once. */
export async function parallel(
  count: number,
  atOnce: number,
  run: (i: number) => Promise<unknown>,
): Promise<void> {
  let next = 0
  const line = async () => {
    while (next < count) await run(next++)
  }
  await Promise.all(Array.from({ length: atOnce }, line))
}
