/** It cannot be done as things are; nothing is broken. One sentence. */
export class OperationError extends Error {
  override readonly name = 'OperationError'
}
