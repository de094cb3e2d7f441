import { choiceOfListeners } from './listener-choice.ts'
import { choiceOf, finish, positive } from './pipeline-draft.ts'
import type { ParseStatement, PipelineDraft } from './pipeline-draft.ts'
import { exceptOf } from './pipeline-session.ts'
import { parseDuration } from './quantity.ts'
import type { BanRule, RateRule } from './rate-rules.ts'
import { positionOf, type TokenReader } from './token-reader.ts'

/** How much is too much, of messages and of errors, and what follows. Statements add up. */
export const rateStatements: Readonly<Record<string, ParseStatement>> = { rate: parseRate, ban: parseBan }

/** `rate [on "eth0:25" | tag NAME] client | user N/PERIOD messages | recipients | connections [except <table>]`. */
function parseRate(draft: PipelineDraft): void {
  const { reader } = draft
  const start = reader.next()
  const choice = choiceOfListeners(reader)
  const per = choiceOf(reader, ['client', 'user'] as const, 'whose rate it is')
  const amount = amountOf(reader)
  const { span } = reader.peek()
  const unit = choiceOf(reader, ['messages', 'recipients', 'connections'] as const, 'what is counted')
  if (per === 'user' && unit === 'connections')
    reader.fail('conflict', 'who connects is no user yet', span, 'write `rate client` for connections')
  const rule: RateRule = {
    at: positionOf(start),
    ...(choice === undefined ? {} : { for: choice }),
    per,
    ...amount,
    unit,
    ...exceptOf(draft),
  }
  finish(draft, { rates: [...draft.settings.rates, rule] })
}

/** `100/1h`, quoted or not. */
export function amountOf(reader: TokenReader): Pick<RateRule, 'count' | 'periodMs'> {
  const first = reader.peek()
  const written = reader.atString() ? reader.next().text : writtenOf(reader)
  const [, count, period = ''] = /^(\d{1,9})\/(\d+[smhd])$/.exec(written) ?? []
  const periodMs = parseDuration(period)
  if (periodMs === undefined || Number(count) < 1)
    return reader.fail('value', `"${written}" is not a rate`, first.span, 'a number and a time: 100/1h, 20/30s, 500/1d')
  if (periodMs > longestMs) reader.fail('value', 'a rate is of 7 days at most', first.span)
  return { count: Number(count), periodMs }
}

/** Three tokens. */
function writtenOf(reader: TokenReader): string {
  const count = reader.number('a rate').text
  if (!reader.accept('/')) return count
  return `${count}/${reader.atString() ? reader.next().text : ''}`
}

/** `ban [on "eth0:25" | tag NAME] after N OFFENCE in PERIOD for DURATION [except <networks>]`. */
function parseBan(draft: PipelineDraft): void {
  const { reader } = draft
  const start = reader.next()
  const choice = choiceOfListeners(reader)
  reader.expect('after', 'behind "ban"')
  const count = positive(reader)
  const offence = choiceOf(
    reader,
    ['auth-failures', 'protocol-errors', 'refused-recipients'] as const,
    'what leads to a ban',
  )
  reader.expect('in', 'and a time')
  const periodMs = reader.duration('the time they are counted in')
  reader.expect('for', 'and a time')
  const durationMs = reader.duration('the time of the ban')
  const rule: BanRule = {
    at: positionOf(start),
    ...(choice === undefined ? {} : { for: choice }),
    count,
    offence,
    periodMs,
    durationMs,
    ...exceptOf(draft),
  }
  finish(draft, { bans: [...draft.settings.bans, rule] })
}

const longestMs = 7 * 86_400_000
