import type { JournalEntry } from '../journal.ts'
import { formatDuration, formatInstant, formatSize } from './units.ts'

/** How an event is to be taken: mail arrived, mail waits, mail came to grief, or just a step. */
export type Tone = 'good' | 'waiting' | 'bad' | 'plain'

/** One thing that happened to a message, told in a plain sentence. */
export interface StoryLine {
  readonly at: number
  readonly event: string
  readonly text: string
  readonly tone: Tone
  /** The line that decided, file:line, as the text has it. */
  readonly rule?: string
  /** Of the configuration it was decided by. */
  readonly revision?: string
}

/** Tells the journal's entries in the order of time; an entry of an unknown kind is told by its fields. */
export function tellStory(entries: readonly JournalEntry[]): readonly StoryLine[] {
  return entries
    .toSorted((one, other) => one.at - other.at)
    .flatMap((entry) => {
      const rule = entry['rule'] ?? entry['restriction']
      const line = {
        at: entry.at,
        event: entry.event,
        text: tell(entry),
        tone: tones.get(entry.event) ?? 'plain',
        ...(typeof rule === 'string' ? { rule } : {}),
        ...(typeof entry['revision'] === 'string' ? { revision: entry['revision'] } : {}),
      }
      return [...connectedBefore(entry), line]
    })
}

/** The session a message came by began some time before. */
function connectedBefore(entry: JournalEntry): readonly StoryLine[] {
  const f = new Fields(entry)
  const sessionMs = f.number('sessionMs')
  if (entry.event !== 'received' || sessionMs === undefined) return []
  const text = `connected: client ${f.text('address')}${f.quote(' on ', 'listener')}`
  return [{ at: entry.at - sessionMs, event: 'connected', text, tone: 'plain' }]
}

const tones = new Map<string, Tone>([
  ['received', 'plain'],
  ['delivered', 'good'],
  ['relayed', 'good'],
  ['released', 'good'],
  ['delayed', 'waiting'],
  ['deferred', 'waiting'],
  ['suspended', 'waiting'],
  ['may repeat', 'waiting'],
  ['held', 'waiting'],
  ['report unreadable', 'waiting'],
  ['undecided', 'waiting'],
  ['rejected', 'bad'],
  ['auth failed', 'bad'],
  ['tls failed', 'bad'],
  ['rate exceeded', 'waiting'],
  ['banned', 'bad'],
  ['reload refused', 'bad'],
  ['webhook dropped', 'bad'],
  ['failed', 'bad'],
  ['expired', 'bad'],
  ['double bounce', 'bad'],
  ['report dropped', 'bad'],
  ['discarded', 'bad'],
  ['removed', 'bad'],
  ['missing', 'bad'],
])

function tell(entry: JournalEntry): string {
  const teller = tellers.get(entry.event)
  return teller === undefined ? tellFields(entry) : teller(new Fields(entry))
}

type Teller = (fields: Fields) => string

const tellers = new Map<string, Teller>([
  ['received', tellReceived],
  ['made', (f) => `made here, from ${reversePath(f.value('from'))} for ${f.list('to')}${f.quote(', trace ', 'trace')}`],
  ['routed', tellRouted],
  ['filtered', tellFiltered],
  ['signed', tellSigned],
  [
    'judged',
    (f) => `${f.text('stage')} asked before acceptance: ${f.text('decision')}${f.duration(', in ', 'tookMs')}`,
  ],
  [
    'undecided',
    (f) =>
      `${f.text('stage')} asked before acceptance: no decision${f.duration(' after ', 'tookMs')} (${f.text('reason')})`,
  ],
  ['passed', (f) => `${f.text('stage')} done${f.duration(' in ', 'tookMs')}, tag ${f.text('tag')} added`],
  ['delivered', (f) => `delivered to ${f.text('recipient')}${hop(f)}`],
  ['relayed', (f) => `relayed to ${f.text('recipient')}${hop(f)}`],
  ['delayed', (f) => `not yet delivered to ${f.text('recipient')}${hop(f)}; ${again(f)}`],
  [
    'tls policy failed',
    (f) =>
      `${f.text('policy')} (${f.text('mode')}) of ${f.text('domain')} not met${f.quote(' by ', 'remoteMta')}${f.quote(': ', 'reason')}`,
  ],
  [
    'suspended',
    (f) => `${f.text('destination')} is left alone${f.duration(' for ', 'forMs')}${f.quote(': ', 'reply')}`,
  ],
  ['failed', (f) => `failed for ${f.text('recipient')}${hop(f)}`],
  ['expired', (f) => `given up for ${f.text('recipient')}${f.duration(' after ', 'ageMs')}${hop(f)}`],
  [
    'may repeat',
    (f) => `an attempt of ${f.text('stage')} broke off and is made again: ${f.list('to')} may get a second copy`,
  ],
  ['deferred', (f) => `${f.text('stage')} broke off: ${f.text('reason')}; ${again(f)}`],
  [
    'reported',
    (f) => `report (${f.text('action')}) about ${f.text('about')} sent to ${f.text('to')} as ${f.text('id')}`,
  ],
  ['report dropped', (f) => `report (${f.text('action')}) to ${f.text('to')} not sent: beyond ${f.text('limit')}`],
  [
    'aggregate report sent',
    (f) =>
      `${f.text('kind')} report of ${f.text('day')} about ${f.text('domain')} (${f.text('count')}) to ${f.text('to')}`,
  ],
  [
    'report received',
    (f) =>
      `report (${f.text('kind')}) of ${f.text('org')} on ${f.text('about')} ${f.text('kept') === 'known' ? 'is known already' : 'kept'}; its mail is of ${f.text('mail')}${f.quote(', DMARC ', 'dmarc')}`,
  ],
  ['report unreadable', (f) => `no report was read: ${f.text('reason')}`],
  ['double bounce', (f) => `bounce to ${f.text('recipient')} dropped${f.quote(': ', 'reply')}`],
  ['discarded', (f) => `discarded by ${f.text('stage')}: ${f.text('reason')}`],
  ['held', (f) => `held by ${f.text('stage')}: ${f.text('reason')}`],
  ['released', (f) => `released to ${f.text('stage')} by ${f.text('by')}`],
  ['removed', (f) => `removed${f.quote(' for ', 'recipient')} by ${f.text('by')}`],
  ['scheduled', (f) => `scheduled to run now by ${f.text('by')}`],
  ['returned', (f) => `returned to its sender by ${f.text('by')}`],
  ['rerouted', tellRerouted],
  ['replayed', tellReplayed],
  ['readdressed', (f) => `the copy for ${f.text('recipient')} goes to ${f.text('to')}, by ${f.text('by')}`],
  [
    'recovered',
    (f) =>
      f.value('outcome') === undefined
        ? `accepted, says the spool, from ${reversePath(f.value('from'))} for ${f.list('to')}`
        : `${f.text('outcome')} by ${f.text('stage')}, says the spool${f.quote(': ', 'reason')}`,
  ],
  ['missing', () => 'it has no outcome and is not in the spool'],
  ['requeued', (f) => `queued anew from the spool: ${f.text('reason')}`],
  [
    'rejected',
    (f) =>
      `rejected at ${f.text('stage')}${f.quote(' with ', 'reply')}${f.quote(', by ', 'restriction')}${sessionOf(f)}`,
  ],
  ['auth failed', (f) => `login failed${f.quote(' for ', 'user')}${f.quote(': ', 'reply')}${sessionOf(f)}`],
  ['tls failed', (f) => `TLS failed${f.quote(': ', 'reason')}${sessionOf(f)}`],
  [
    'rate exceeded',
    (f) =>
      `more than ${f.text('rule')} allows: ${f.text('count')} ${f.text('unit')}${f.quote(', user ', 'user')}${sessionOf(f)}`,
  ],
  ['banned', (f) => `${f.text('client')} is kept out for ${f.text('offence')} (${f.text('rule')})${sessionOf(f)}`],
  ['filter report', (f) => `${f.text('filter')}: ${f.text('text')}${sessionOf(f)}`],
])

/** Of what is about no message: where it came from, and how often it came again. */
function sessionOf(f: Fields): string {
  if (f.value('id') !== undefined) return ''
  const more = f.number('more')
  const again = more === undefined ? '' : `; ${more} more like it`
  return `${f.quote(', client ', 'address')}${f.quote(' on ', 'listener')}${again}`
}

function tellReplayed(f: Fields): string {
  const from = typeof f.value('stage') === 'string' ? f.text('stage') : 'its beginning'
  return `goes again from ${from}, for ${f.list('to')}${f.quote(', as message ', 'as')}, by ${f.text('by')}`
}

function tellRerouted(f: Fields): string {
  const to = f.value('to')
  const where = typeof to === 'string' ? `sent by way of ${f.text('to')}` : 'sent where the rules say, again'
  return `${where}, for ${f.list('recipients')}, by ${f.text('by')}`
}

function tellReceived(f: Fields): string {
  const size = f.number('sizeBytes')
  return [
    `received from ${reversePath(f.value('from'))} for ${f.list('to')}`,
    size === undefined ? '' : `, ${formatSize(size)}`,
    f.quote(', on ', 'listener'),
    f.quote(', client ', 'address'),
    f.quote(' (', 'helo', ')'),
    f.quote(', user ', 'user'),
    f.quote(', ', 'tls'),
    f.quote(', trace ', 'trace'),
  ].join('')
}

function tellRouted(f: Fields): string {
  const queue = f.text('queue')
  const way = f.quote(', action ', 'action')
  const tags = f.list('tags')
  return `rule ${f.text('rule')} sends ${f.list('to')} to queue ${queue}${way}${tags === '' ? '' : ` (tags ${tags})`}`
}

function tellFiltered(f: Fields): string {
  const symbols = f.list('symbols')
  const score = f.number('score')
  return [
    `filtered: ${f.text('verdict')}`,
    f.quote(', ', 'reason'),
    score === undefined ? '' : `, score ${score}`,
    symbols === '' ? '' : ` (${symbols})`,
    f.quote('; ', 'authentication'),
  ].join('')
}

function hop(f: Fields): string {
  const secured = `${f.quote(' over ', 'tls')}${f.quote(' (', 'tlsTrust', ')')}${f.quote(' in clear (STARTTLS ', 'starttls', ')')}`
  return `${f.quote(' by ', 'remoteMta')}${secured}${f.quote(': ', 'reply')}${f.quote(' (', 'class', ')')}`
}

function again(f: Fields): string {
  const nextAt = f.number('nextAt')
  const attempts = f.number('attempts')
  const next = nextAt === undefined ? 'tried again later' : `next attempt at ${formatInstant(nextAt)}`
  return attempts === undefined ? next : `${next} (attempts so far: ${attempts})`
}

function tellFields(entry: JournalEntry): string {
  const fields = Object.entries(entry).filter(([name]) => name !== 'at' && name !== 'event' && name !== 'id')
  return [entry.event, ...fields.map(([name, value]) => `${name} ${plain(value)}`)].join(', ').replace(', ', ': ')
}

function tellSigned(f: Fields): string {
  const what = f.value('arc') === true ? 'sealed (ARC) by' : 'signed for'
  return `${what} ${f.text('domain')}, selector ${f.text('selector')} (${f.text('algorithm')})`
}

/** What a journal line says in its fields: it was read from a file, so any of them may be missing or of another type. */
class Fields {
  readonly #entry: JournalEntry

  constructor(entry: JournalEntry) {
    this.#entry = entry
  }

  value(name: string): unknown {
    return this.#entry[name]
  }

  text(name: string): string {
    const value = this.#entry[name]
    return value === undefined ? '?' : plain(value)
  }

  number(name: string): number | undefined {
    const value = this.#entry[name]
    return typeof value === 'number' && Number.isFinite(value) ? value : undefined
  }

  list(name: string): string {
    const value = this.#entry[name]
    return Array.isArray(value) ? value.map(plain).join(', ') : value === undefined ? '' : plain(value)
  }

  /** The value between `before` and `after`; nothing when it is absent. */
  quote(before: string, name: string, after = ''): string {
    const value = this.#entry[name]
    return value === undefined || value === '' ? '' : `${before}${plain(value)}${after}`
  }

  duration(before: string, name: string): string {
    const durationMs = this.number(name)
    return durationMs === undefined ? '' : `${before}${formatDuration(durationMs)}`
  }
}

function reversePath(value: unknown): string {
  return value === null || value === undefined ? '<>' : plain(value)
}

function plain(value: unknown): string {
  return typeof value === 'string' ? value : (JSON.stringify(value) ?? String(value))
}
