/** Redis is away, full or refuses: nothing is known to be stored. The message stays in the spool (S3) and is added later. */
export class QueueUnavailableError extends Error {
  override readonly name = 'QueueUnavailableError'
}

/** Runs what talks to Redis; whatever goes wrong there is told as QueueUnavailableError. */
export async function reach<T>(action: () => Promise<T>): Promise<T> {
  try {
    return await action()
  } catch (error) {
    if (error instanceof QueueUnavailableError) throw error
    const reason = error instanceof Error ? reasonOf(error) : String(error)
    throw new QueueUnavailableError(`Redis could not be asked: ${reason}`, { cause: error })
  }
}

/** The client's own words are about its options. */
function reasonOf({ name, message }: Error): string {
  return name === 'MaxRetriesPerRequestError' ? 'the connection broke off' : message
}
