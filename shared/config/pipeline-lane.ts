import { asciiDomain } from '../mail/ascii-domain.ts'
import type { Span } from './diagnostic.ts'
import type { LaneSettings, Rate } from './model.ts'
import { Once } from './once.ts'
import { choiceOf, finish } from './pipeline-draft.ts'
import type { ParseStatement, PipelineDraft } from './pipeline-draft.ts'
import { amountOf } from './pipeline-rate.ts'
import type { TokenReader } from './token-reader.ts'

/** How mail goes out to one destination, over all relay processes. */
export const laneStatements: Readonly<Record<string, ParseStatement>> = { lane: parseLane }

const longestPauseMs = 12 * 3_600_000

/**
 * `lane default OPTION ...` and `lane "example.org" OPTION ...`, with `back-off off`, `back-off 30s to 30m`, `rate 100/1m messages`,
 * `rate 500/1m recipients`. Statements of one destination add up.
 */
function parseLane(draft: PipelineDraft): void {
  const { reader } = draft
  reader.next()
  const domain = reader.accept('default') ? undefined : domainOf(reader)
  const once = new Once(reader)
  let stated: LaneSettings = {}
  do {
    stated = { ...stated, ...laneOption(draft, once, domain ?? '') }
  } while (!reader.atEnd())
  const { lanes } = draft.settings
  if (domain === undefined) return finish(draft, { lanes: { ...lanes, default: { ...lanes.default, ...stated } } })
  const domains = new Map([...lanes.domains, [domain, { ...lanes.domains.get(domain), ...stated }]])
  finish(draft, { lanes: { ...lanes, domains } })
}

function domainOf(reader: TokenReader): string {
  const written = reader.string('a domain or a smarthost, or "default"')
  const domain = asciiDomain(written.text)
  if (domain !== undefined && /^[a-z0-9_.:[\]-]+$/.test(domain)) return domain
  const hint = 'the domain of recipients, or the host of a relay URL: lane "example.org" rate 100/1m messages'
  return reader.fail('value', `"${written.text}" is no destination`, written.span, hint)
}

function laneOption(draft: PipelineDraft, once: Once, domain: string): LaneSettings {
  const { reader } = draft
  const option = reader.peek()
  if (reader.accept('back-off')) {
    refuseSecond(draft, `lane ${domain} back-off`, option.span)
    once.check(option)
    return { backOff: backOffOf(reader) }
  }
  if (!reader.accept('rate')) return reader.unexpected('an option of the lane', ['back-off', 'rate'])
  const rate: Rate = amountOf(reader)
  const { span } = reader.peek()
  const unit = choiceOf(reader, ['messages', 'recipients'] as const, 'what is counted')
  refuseSecond(draft, `lane ${domain} ${unit}`, span)
  return { [unit]: rate }
}

function refuseSecond({ reader, stated }: PipelineDraft, what: string, span: Span): void {
  if (stated.has(what))
    reader.fail('duplicate', 'this is stated already for that destination', span, 'keep one of the two')
  stated.add(what)
}

function backOffOf(reader: TokenReader): NonNullable<LaneSettings['backOff']> {
  if (reader.accept('off')) return 'off'
  const firstMs = reader.duration('the first pause, or "off"')
  reader.expect('to', 'and the longest pause: back-off 30s to 30m')
  const { span } = reader.peek()
  const longestMs = reader.duration('the longest pause')
  if (longestMs < firstMs) reader.fail('value', 'the longest pause is shorter than the first', span)
  if (longestMs > longestPauseMs) reader.fail('value', 'a pause is of 12 hours at most', span)
  return { firstMs, longestMs }
}
