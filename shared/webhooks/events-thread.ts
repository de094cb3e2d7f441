import { journalEnds, nextEvents } from './read-events.ts'
import type { EventBatch, EventsQuestion, Positions } from './read-events.ts'

/** What the thread of webhooks.ts is asked: where the journal ends, or what comes next. */
export type EventsTask =
  | { readonly kind: 'ends'; readonly folder: string }
  | { readonly kind: 'next'; readonly question: EventsQuestion }

export type EventsResult = Positions | EventBatch

export default function answer(asked: unknown): EventsResult {
  const task = asked as EventsTask
  switch (task.kind) {
    case 'ends':
      return journalEnds(task.folder)
    case 'next':
      return nextEvents(task.question)
  }
}
