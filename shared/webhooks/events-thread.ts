import { countUnread, countWaiting, journalEnds, nextEvents } from './read-events.ts'
import type { EventBatch, EventsQuestion, Positions, Unread, UnreadQuestion } from './read-events.ts'

/** What the thread of webhooks.ts is asked: where the journal ends, what comes next, or what is not read yet, by file or in sum. */
export type EventsTask =
  | { readonly kind: 'ends'; readonly folder: string }
  | { readonly kind: 'next'; readonly question: EventsQuestion }
  | { readonly kind: 'waiting'; readonly question: Omit<EventsQuestion, 'notBefore'> }
  | { readonly kind: 'unread'; readonly question: UnreadQuestion }

export type EventsResult = Positions | EventBatch | ReadonlyMap<string, Unread> | number

export default function answer(asked: unknown): EventsResult {
  const task = asked as EventsTask
  switch (task.kind) {
    case 'ends':
      return journalEnds(task.folder)
    case 'next':
      return nextEvents(task.question)
    case 'waiting':
      return countWaiting(task.question)
    case 'unread':
      return countUnread(task.question)
  }
}
