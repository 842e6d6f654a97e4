/**
 * Capabilities that a program's file has (capabilities(7)): the attribute says so to the kernel
 * alone, and goes when the content or the owner changes, whoever changes it (cap_inode_killpriv of
 * security/commoncap.c).
 */
import type { Core } from './core.js'

export const CAPABILITY_NAME = 'security.capability'

const CAPABILITIES = new TextEncoder().encode(CAPABILITY_NAME)

/** In a transaction of its own. */
export function dropCapabilities({ inodes, xattrs, transaction }: Core, number: number): void {
  const w = inodes.get(number)
  const { length } = CAPABILITIES
  if (xattrs.countOf(w) === 0 || !xattrs.find(w, CAPABILITIES, 0, length)) return
  transaction.run(0, true, () => {
    xattrs.find(w, CAPABILITIES, 0, length)
    xattrs.removeFound(w, CAPABILITIES)
  })
}
