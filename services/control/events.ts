import { once } from 'node:events'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

import { openEventTail } from '../../shared/event-tail.ts'
import type { EventFilter } from '../../shared/event-tail.ts'
import type { JournalEntry } from '../../shared/journal.ts'
import { tellStory } from '../../shared/report/story.ts'
import type { Tone } from '../../shared/report/story.ts'
import { formatInstant } from '../../shared/report/units.ts'
import { sessionLogFolder } from '../../shared/session-log.ts'
import { exitCodes } from './command.ts'
import type { Command, Invocation } from './command.ts'
import { dataFolderOf } from './connect.ts'
import { limitOf } from './show-queue.ts'
import { visible } from './terminal.ts'
import type { Colour, Terminal } from './terminal.ts'

const defaultLimit = '20'
const everyMs = 500

export const events: Command = {
  words: ['events'],
  operands: [{ name: 'WORD', required: false, multiple: true }],
  options: [
    { name: 'follow', short: 'F', summary: 'go on with those that come, until it is stopped' },
    { name: 'event', value: 'NAME', summary: "only these: failed, rejected, 'auth failed'" },
    { name: 'stage', value: 'STAGE', summary: 'only of this queue, or part of a session: relay, rcpt' },
    { name: 'limit', value: 'N', summary: `so many of those that were (${defaultLimit})` },
  ],
  summary: 'what happens to messages, and in sessions before there is one; words: an address, an id',
  run,
}

async function run(invocation: Invocation): Promise<number> {
  const { options, operands: words, terminal } = invocation
  const filter: EventFilter = { words, event: options.text('event'), stage: options.text('stage') }
  const dataFolder = dataFolderOf(invocation)
  const tail = openEventTail([join(dataFolder, 'events'), sessionLogFolder(dataFolder)], Date.now)
  const { events: latest, number: first } = await tail.latest(limitOf(options.text('limit') ?? defaultLimit), filter)
  const tell = (entry: JournalEntry): void => {
    for (const line of options.has('json') ? [JSON.stringify(entry)] : lines(entry, terminal)) terminal.print(line)
  }
  for (const entry of latest.toReversed()) tell(entry)
  if (!options.has('follow')) return exitCodes.done
  const stop = new AbortController()
  const stopped = once(process, 'SIGINT', { signal: stop.signal }).then(
    () => stop.abort(),
    () => undefined,
  )
  for (let place = first; !stop.signal.aborted;) {
    const { events: fresh, number, missed } = await tail.after(place, filter)
    if (missed > 0) terminal.warn(`${missed} events came faster than they can be shown`)
    for (const { entry } of fresh) tell(entry)
    place = number
    await sleep(everyMs, undefined, { signal: stop.signal }).catch(() => undefined)
  }
  await stopped
  return exitCodes.done
}

const colours: Readonly<Record<Tone, Colour | undefined>> = {
  good: 'green',
  waiting: 'yellow',
  bad: 'red',
  plain: undefined,
}

function lines(entry: JournalEntry, { paint }: Terminal): readonly string[] {
  return tellStory([entry]).map(({ at, event, text, tone }) => {
    const colour = colours[tone]
    const name = colour === undefined ? event : paint(colour, event)
    return `${formatInstant(at)}  ${entry.id ?? '-'}  ${name}  ${visible(text)}`
  })
}
