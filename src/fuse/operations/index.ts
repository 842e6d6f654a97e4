/** All operations, by their numbers. What is not here is ENOSYS: the kernel does without. */
import type { Operations } from './operation.js'
import { attributeOperations } from './attributes.js'
import { directoryOperations } from './directories.js'
import { fileOperations } from './files.js'
import { ioctlOperations } from './ioctl.js'
import { lockOperations } from './locks.js'
import { nameOperations } from './names.js'
import { Opcode } from '../wire/header.js'

export const OPERATIONS: Operations = {
  ...nameOperations,
  ...attributeOperations,
  ...directoryOperations,
  ...fileOperations,
  ...lockOperations,
  ...ioctlOperations,
  [Opcode.destroy]: () => 0,
}
