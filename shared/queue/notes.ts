import type { Producer } from './producer.ts'
import { reach } from './unavailable.ts'

/**
 * Short texts that processes on several hosts tell each other. An emptied Redis has forgotten them: what must outlast that has its place on disk,
 * too. Every call rejects with QueueUnavailableError while Redis is away.
 */
export interface Notes {
  read(name: string): Promise<string | undefined>
  write(name: string, text: string): Promise<void>
}

export function openNotes(producer: Producer, prefix: string): Notes {
  const keyOf = (name: string): string => `${prefix}:@note:${name}`
  return {
    read: (name) => reach(async () => (await (await producer.ready()).get(keyOf(name))) ?? undefined),
    write: (name, text) =>
      reach(async () => {
        await (await producer.ready()).set(keyOf(name), text)
      }),
  }
}
