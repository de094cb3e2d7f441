import type { JournalEntry } from '../journal.ts'
import type { Mailbox } from '../mail/address.ts'
import type { MessageId } from '../mail/message-id.ts'

/** One decision in words, and what two of them are the same by. */
export interface Told {
  readonly text: string
  readonly key: string
}

/** What a story tells of the way of one copy. */
export interface StorySteps {
  /** Where the rules sent it when so many stages were done. */
  rule(recipient: number, stagesDone: number): Told | undefined
  /** What a stage decided about it, last. */
  decision(recipient: number, queue: string): Told | undefined
  /** How its last attempt ended. */
  end(recipient: number, mailbox: Mailbox): Told | undefined
}

export function stepsOf(story: readonly JournalEntry[], id: MessageId): StorySteps {
  const lines = story.filter((entry) => entry.id === id) as readonly StoryLine[]
  const about = (line: StoryLine, recipient: number): boolean =>
    line.rcpt === recipient || (Array.isArray(line.rcpt) && line.rcpt.includes(recipient))
  return {
    rule(recipient, stagesDone) {
      const routes = lines.filter((line) => line.event === 'routed' && about(line, recipient))
      // Queued anew it is sent to the same queue once more.
      const moves = routes.filter(({ queue }, index) => index === 0 || queue !== routes[index - 1]?.queue)
      const line = moves[stagesDone]
      return line && tellRule(line.rule ?? '?', line.queue ?? '?', line.action)
    },
    decision(recipient, queue) {
      const decided = lines.findLast(
        (line) => line.stage === queue && (line.event === 'passed' || (ends.has(line.event) && about(line, recipient))),
      )
      if (decided === undefined) return undefined
      const verdict = queue === 'filter' ? lines.findLast(({ event }) => event === 'filtered') : undefined
      return tellDecision(wordsOf(decided), verdict)
    },
    end(recipient, mailbox) {
      const line = lines.findLast(
        ({ event, recipient: name, rcpt }) => attempts.has(event) && (rcpt === recipient || name === mailbox),
      )
      if (line === undefined) return undefined
      const by = line.remoteMta === undefined ? '' : ` by ${line.remoteMta}`
      return { text: `${line.event}${by}${line.reply === undefined ? '' : `: ${line.reply}`}`, key: line.event }
    },
  }
}

export function tellRule(rule: string, queue: string, action: string | undefined): Told {
  const text = `rule ${rule}: queue ${queue}${action === undefined ? '' : `, action ${action}`}`
  return { text, key: text }
}

/** @param words what is decided: `pass, tag Filtered`; `verdict`: the event of the filter that goes with it */
export function tellDecision(words: string, verdict: JournalEntry | undefined): Told {
  const { verdict: kind, score, symbols } = (verdict ?? {}) as StoryLine
  if (kind === undefined) return { text: words, key: words }
  const found = (symbols ?? []).slice(0, shownSymbols).join('; ')
  const scored = `${kind}, score ${score ?? '?'}${found === '' ? '' : ` (${found})`}`
  return { text: `${words}; ${scored}`, key: `${words}; ${kind}` }
}

const shownSymbols = 8
const ends: ReadonlySet<string> = new Set(['held', 'discarded', 'failed'])
const attempts: ReadonlySet<string> = new Set(['delivered', 'relayed', 'delayed', 'failed', 'expired'])

function wordsOf({ event, tag, reason, reply }: StoryLine): string {
  if (event === 'passed') return `pass, tag ${tag ?? '?'}`
  if (event === 'failed') return `reject: ${reply ?? '?'}`
  return `${event === 'held' ? 'hold' : 'discard'}: ${reason ?? '?'}`
}

/** Fields of a line of the journal, any of which may be missing. */
interface StoryLine extends JournalEntry {
  readonly rcpt?: number | readonly number[]
  readonly recipient?: string
  readonly queue?: string
  readonly rule?: string
  readonly action?: string
  readonly stage?: string
  readonly tag?: string
  readonly reason?: string
  readonly reply?: string
  readonly remoteMta?: string
  readonly verdict?: string
  readonly score?: number
  readonly symbols?: readonly string[]
}
