/** Redis is away, full or refuses: nothing is known to be stored. The message stays in the spool (S3) and is added later. */
export class QueueUnavailableError extends Error {
  override readonly name = 'QueueUnavailableError'
}
