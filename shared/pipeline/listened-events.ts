import type { Clock } from '../clock.ts'
import { createEvents } from '../events.ts'
import type { Events } from '../events.ts'
import type { JournalEntry } from '../journal.ts'
import { silentLog } from '../log.ts'

/** Events that are neither logged nor counted, and are in nobody's story: `told` has those of messages, as the journal would. */
export function listenedEvents(clock: Clock): { readonly events: Events; readonly told: readonly JournalEntry[] } {
  const told: JournalEntry[] = []
  const nowhere = { inc: () => undefined, observe: () => undefined }
  const journal = {
    append: (entry: JournalEntry) => void told.push(entry),
    flush: async () => undefined,
    close: async () => undefined,
  }
  const metrics = {
    events: nowhere,
    connections: nowhere,
    tlsSessions: nowhere,
    rejections: nowhere,
    messageBytes: nowhere,
    verdicts: nowhere,
    outcomeSeconds: nowhere,
    replies: nowhere,
    refusals: nowhere,
  }
  return { events: createEvents({ log: silentLog(), metrics, journal, clock }), told }
}
