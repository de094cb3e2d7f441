import { storyOf } from '../journal.ts'
import type { JournalEntry } from '../journal.ts'
import type { MessageId } from '../mail/message-id.ts'
import { workerFile } from '../workers/start-worker.ts'
import { ThreadLimitError, createWorkerPool } from '../workers/worker-pool.ts'
import type { ChosenMessages, FoundPage } from './found-message.ts'
import type { HourCounts } from './hours.ts'
import { QueryError } from './query.ts'
import type { SearchResult, SearchTask } from './search-thread.ts'
import type { ChoiceQuestion, PageQuestion } from './store-reader.ts'
import type { StorePlace } from './store-place.ts'
import type { RecipientDomain, Traffic } from './traffic.ts'

/** Questions to the store, as a service asks them. */
export interface MessageSearch {
  /** @throws QueryError when it takes too long; an Error when there is no store */
  search(question: PageQuestion): Promise<FoundPage>
  /** All that is found, for what is done to all of it. @throws as `search` does */
  choose(question: ChoiceQuestion): Promise<ChosenMessages>
  /** How many are found, and no more than `most`. @throws as `search` does */
  count(question: ChoiceQuestion): Promise<number>
  /** The whole story. Without a store beside it the journal is gone through. @throws when the lines of other hosts cannot be asked for */
  story(id: MessageId): Promise<readonly JournalEntry[]>
  /** The same to look at: what this host's journal has, while others cannot be asked. @throws when that is nothing */
  storyHere(id: MessageId): Promise<readonly JournalEntry[]>
  /** Of messages since then, epoch ms. @throws ThreadLimitError when it takes too long; an Error when there is no store */
  traffic(sinceAt: number): Promise<Traffic>
  /** Where mail went since then. @throws as `traffic` does */
  recipientDomains(sinceAt: number): Promise<readonly RecipientDomain[]>
  /** What came in each hour since then. @throws as `traffic` does */
  hours(sinceAt: number): Promise<readonly HourCounts[]>
  close(): Promise<void>
}

const limitMs = 5_000
/** A database elsewhere stops by itself what takes longer, and says first when it cannot be reached. */
const elsewhereLimitMs = 8_000

/** @param folder of the journal, with the store in it when it is SQLite */
export function openMessageSearch(folder: string, place: StorePlace): MessageSearch {
  const file = workerFile('./search-thread.ts', import.meta.url)
  const pool = createWorkerPool<SearchTask, SearchResult>({
    file,
    threads: 1,
    wallMs: place.kind === 'sqlite' ? limitMs : elsewhereLimitMs,
  })

  async function inTime(task: SearchTask): Promise<SearchResult> {
    try {
      return await pool.run(task)
    } catch (error) {
      if (!(error instanceof ThreadLimitError || isTimeLimit(error))) throw error
      const text = `the search took longer than ${limitMs / 1000} s: name a time (after:7d) or an address`
      throw new QueryError(text, { cause: error })
    }
  }

  const askStory = async (id: MessageId): Promise<readonly JournalEntry[]> =>
    (await pool.run({ kind: 'story', folder, place, id })) as readonly JournalEntry[]

  async function storyHere(id: MessageId): Promise<readonly JournalEntry[]> {
    try {
      return await askStory(id)
    } catch (error) {
      const told = await storyOf(folder, id)
      if (told.length === 0 && place.kind !== 'sqlite') throw error
      return told
    }
  }

  return {
    search: async (question) => (await inTime({ kind: 'search', folder, place, question })) as FoundPage,
    choose: async (question) => (await inTime({ kind: 'choose', folder, place, question })) as ChosenMessages,
    count: async (question) => (await inTime({ kind: 'count', folder, place, question })) as number,
    story: (id) => (place.kind === 'sqlite' ? storyHere(id) : askStory(id)),
    storyHere,
    traffic: async (sinceAt) => (await pool.run({ kind: 'traffic', folder, place, sinceAt })) as Traffic,
    recipientDomains: async (sinceAt) =>
      (await pool.run({ kind: 'recipients', folder, place, sinceAt })) as readonly RecipientDomain[],
    hours: async (sinceAt) => (await pool.run({ kind: 'hours', folder, place, sinceAt })) as readonly HourCounts[],
    close: () => pool.close(),
  }
}

/** Of PostgreSQL; errors of a thread come as their text. */
function isTimeLimit(error: unknown): boolean {
  return error instanceof Error && /statement timeout|Query read timeout/.test(error.message)
}
