import { formatSecond } from '../../shared/report/units.ts'
import type { CopyState } from '../../shared/store/copy-state.ts'
import type { FoundMessage, FoundPage } from '../../shared/store/found-message.ts'
import { QueryError, parseQuery, queryExample } from '../../shared/store/query.ts'
import { UsageError, exitCodes } from './command.ts'
import type { Command, Invocation } from './command.ts'
import { askStore, findPlace } from './connect.ts'
import { forgetSearch, keepSearch, savedQuery, showSearches } from './saved.ts'
import { limitOf } from './show-queue.ts'
import { visible } from './terminal.ts'
import type { Colour, Terminal } from './terminal.ts'
import { textTable } from './text-table.ts'

const defaultLimit = '50'
const mostMessages = 100_000

export const find: Command = {
  words: ['find'],
  operands: [{ name: 'QUERY', required: false }],
  options: [
    { name: 'limit', value: 'N', summary: `messages shown (${defaultLimit})` },
    { name: 'before', value: 'PLACE', summary: 'go on where the last page ended' },
    { name: 'saved', value: 'NAME', summary: 'by a saved search; with QUERY by both' },
    { name: 'save', value: 'NAME', summary: 'keep QUERY under this name, for everybody' },
    { name: 'forget', value: 'NAME', summary: 'delete a saved search' },
    { name: 'searches', summary: 'show the saved searches' },
  ],
  summary: `messages that are looked for, newest first: '${queryExample}'; needs no Redis`,
  run: findMessages,
}

async function findMessages(invocation: Invocation): Promise<number> {
  const { options } = invocation
  const asked = ['saved', 'save', 'forget', 'searches'].filter((name) => options.has(name))
  if (asked.length > 1) throw new UsageError(`--${asked.join(' and --')} do not go together`)
  if (options.has('searches')) return showSearches(invocation)
  if (options.has('save')) return keepSearch(invocation)
  if (options.has('forget')) return forgetSearch(invocation)
  const { terminal, operands } = invocation
  const before = options.text('before')
  const limit = Math.min(limitOf(options.text('limit') ?? defaultLimit), mostMessages)
  const saved = options.text('saved')
  const words = [saved === undefined ? undefined : await savedQuery(invocation, saved), operands[0]]
  const query = parsed(words.filter((one) => one !== undefined).join(' '))
  const place = await findPlace(invocation)
  const question = { query, limit, ...(before === undefined ? {} : { before }) }
  const page = await askStore(place, (store) => store.search(question))
  if (options.has('json')) terminal.print(JSON.stringify(page, undefined, 2))
  else for (const line of pageText(page, terminal)) terminal.print(line)
  return exitCodes.done
}

function parsed(text: string): ReturnType<typeof parseQuery> {
  try {
    return parseQuery(text, Date.now())
  } catch (error) {
    if (error instanceof QueryError) throw new UsageError(error.message)
    throw error
  }
}

function pageText({ messages, next }: FoundPage, terminal: Terminal): readonly string[] {
  if (messages.length === 0) return ['Nothing was found.']
  const columns = ['id', 'time', 'state', 'from', 'to', 'said last'].map((title) => ({ title }))
  const rows = messages.map((message) => row(message, terminal))
  return [...textTable(columns, rows), ...(next === undefined ? [] : [`and older ones: --before ${next}`])]
}

function row({ id, at, from, copies: [copy], copyCount }: FoundMessage, terminal: Terminal): readonly string[] {
  const more = copyCount > 1 ? ` and ${copyCount - 1} more` : ''
  return [
    id,
    formatSecond(at),
    copy === undefined ? '' : painted(terminal, copy.state),
    visible(from === null ? '<>' : (from ?? '?')),
    `${visible(copy?.mailbox ?? '?')}${more}`,
    visible(copy?.remote ?? ''),
  ]
}

function painted(terminal: Terminal, state: CopyState): string {
  const colour = stateColours[state]
  return colour === undefined ? state : terminal.paint(colour, state)
}

const stateColours = {
  queued: undefined,
  delayed: 'yellow',
  held: 'red',
  delivered: 'green',
  relayed: 'green',
  failed: 'red',
  discarded: 'red',
  removed: 'red',
  refused: 'red',
} as const satisfies Record<CopyState, Colour | undefined>
