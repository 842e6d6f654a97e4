/** A uuid as text, 8-4-4-4-12. */
export function uuidText(uuid: Uint8Array): string {
  const digits = Buffer.from(uuid).toString('hex')
  return [
    digits.slice(0, 8),
    digits.slice(8, 12),
    digits.slice(12, 16),
    digits.slice(16, 20),
    digits.slice(20),
  ].join('-')
}
