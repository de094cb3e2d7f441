import { statSync } from 'node:fs'

import type { JournalEntry } from '../journal.ts'
import type { MessageId } from '../mail/message-id.ts'
import type { Work } from '../workers/thread.ts'
import type { ChosenMessages, FoundPage } from './found-message.ts'
import type { HourCounts } from './hours.ts'
import { openStoreReader } from './open-store.ts'
import { storePath } from './sqlite-store.ts'
import type { StorePlace } from './store-place.ts'
import type { ChoiceQuestion, PageQuestion, StoreReader } from './store-reader.ts'
import type { RecipientDomain, Traffic } from './traffic.ts'

/** What the threads of message-search.ts are asked, and what they answer. */
export type SearchTask =
  | { readonly kind: 'search'; readonly folder: string; readonly place: StorePlace; readonly question: PageQuestion }
  | { readonly kind: 'choose'; readonly folder: string; readonly place: StorePlace; readonly question: ChoiceQuestion }
  | { readonly kind: 'count'; readonly folder: string; readonly place: StorePlace; readonly question: ChoiceQuestion }
  | { readonly kind: 'story'; readonly folder: string; readonly place: StorePlace; readonly id: MessageId }
  | {
      readonly kind: 'traffic' | 'recipients' | 'hours'
      readonly folder: string
      readonly place: StorePlace
      readonly sinceAt: number
    }

export type SearchResult =
  | FoundPage
  | ChosenMessages
  | number
  | readonly JournalEntry[]
  | Traffic
  | readonly RecipientDomain[]
  | readonly HourCounts[]

/** For a search that somebody waits for. */
const limitMs = 5_000

/** A thread that keeps the database open, as long as it is the same. */
export async function open(): Promise<Work> {
  let opened: { readonly reader: StoreReader; readonly identity: string } | undefined

  async function readerOf({ folder, place }: SearchTask): Promise<StoreReader> {
    const identity = identityOf(folder, place)
    if (opened?.identity === identity) return opened.reader
    await opened?.reader.close()
    opened = undefined
    const reader = await openStoreReader(folder, place, limitMs)
    opened = { reader, identity }
    return reader
  }

  return async (asked): Promise<SearchResult> => {
    const task = asked as SearchTask
    const reader = await readerOf(task)
    switch (task.kind) {
      case 'search':
        return reader.search(task.question)
      case 'choose':
        return reader.choose(task.question)
      case 'count':
        return reader.count(task.question)
      case 'story':
        return reader.story(task.id)
      case 'traffic':
        return reader.traffic(task.sinceAt)
      case 'recipients':
        return reader.recipientDomains(task.sinceAt)
      case 'hours':
        return reader.hours(task.sinceAt)
    }
  }
}

/** The file of SQLite may be made anew. */
function identityOf(folder: string, place: StorePlace): string {
  if (place.kind !== 'sqlite') return JSON.stringify([folder, place])
  const found = statSync(storePath(folder), { throwIfNoEntry: false })
  return `${folder} ${found?.dev ?? 0}/${found?.ino ?? 0}`
}
