import { asciiDomain } from '../mail/ascii-domain.ts'
import type { Span } from './diagnostic.ts'
import type { LaneSettings, Lanes, Rate } from './model.ts'
import { Once } from './once.ts'
import { choiceOf, finish, positive } from './pipeline-draft.ts'
import type { ParseStatement, PipelineDraft } from './pipeline-draft.ts'
import { amountOf } from './pipeline-rate.ts'
import type { TokenReader } from './token-reader.ts'

/** How mail goes out to one destination, over all relay processes. */
export const laneStatements: Readonly<Record<string, ParseStatement>> = { lane: parseLane }

const longestPauseMs = 12 * 3_600_000

/**
 * `lane default OPTION ...`, `lane "example.org" OPTION ...` and `lane mx "*.example.net" OPTION ...`, with `back-off off`,
 * `back-off 30s to 30m`, `concurrency 5`, `rate 100/1m messages`, `rate 500/1m recipients`. Statements of one lane add up.
 */
function parseLane(draft: PipelineDraft): void {
  const { reader } = draft
  reader.next()
  const which = laneNamed(reader)
  const once = new Once(reader)
  let stated: LaneSettings = {}
  do {
    stated = { ...stated, ...laneOption(draft, once, `${which.kind} ${which.name}`) }
  } while (!reader.atEnd())
  const { lanes } = draft.settings
  const added = (known: Lanes['domains']): Lanes['domains'] =>
    new Map([...known, [which.name, { ...known.get(which.name), ...stated }]])
  switch (which.kind) {
    case 'default':
      return finish(draft, { lanes: { ...lanes, default: { ...lanes.default, ...stated } } })
    case 'mx':
      return finish(draft, { lanes: { ...lanes, mx: added(lanes.mx) } })
    case 'domain':
      return finish(draft, { lanes: { ...lanes, domains: added(lanes.domains) } })
  }
}

function laneNamed(reader: TokenReader): { readonly kind: 'default' | 'mx' | 'domain'; readonly name: string } {
  if (reader.accept('default')) return { kind: 'default', name: '' }
  return reader.accept('mx') ? { kind: 'mx', name: patternOf(reader) } : { kind: 'domain', name: domainOf(reader) }
}

/** `*.example.net`, every name below it, or one name. */
function patternOf(reader: TokenReader): string {
  const written = reader.string('the name of a mail server, or "*." and the end of many')
  const [, below = '', name = ''] = /^(\*\.)?(.*)$/s.exec(written.text) ?? []
  const host = asciiDomain(name)
  if (host !== undefined && /^[a-z0-9_.-]+$/.test(host)) return `${below}${host}`
  const hint = 'lane mx "*.mail.protection.outlook.com" concurrency 10'
  return reader.fail('value', `"${written.text}" is no name of mail servers`, written.span, hint)
}

function domainOf(reader: TokenReader): string {
  const written = reader.string('a domain or a smarthost, "mx" and a name, or "default"')
  const domain = asciiDomain(written.text)
  if (domain !== undefined && /^[a-z0-9_.:[\]-]+$/.test(domain)) return domain
  const hint = 'the domain of recipients, or the host of a relay URL: lane "example.org" rate 100/1m messages'
  return reader.fail('value', `"${written.text}" is no destination`, written.span, hint)
}

function laneOption(draft: PipelineDraft, once: Once, lane: string): LaneSettings {
  const { reader } = draft
  const option = reader.peek()
  if (reader.accept('back-off')) {
    refuseSecond(draft, `lane ${lane} back-off`, option.span)
    once.check(option)
    return { backOff: backOffOf(reader) }
  }
  if (reader.accept('concurrency')) {
    refuseSecond(draft, `lane ${lane} concurrency`, option.span)
    once.check(option)
    return { concurrency: positive(reader) }
  }
  if (!reader.accept('rate')) return reader.unexpected('an option of the lane', ['back-off', 'concurrency', 'rate'])
  const rate: Rate = amountOf(reader)
  const { span } = reader.peek()
  const unit = choiceOf(reader, ['messages', 'recipients'] as const, 'what is counted')
  refuseSecond(draft, `lane ${lane} ${unit}`, span)
  return { [unit]: rate }
}

function refuseSecond({ reader, stated }: PipelineDraft, what: string, span: Span): void {
  if (stated.has(what)) reader.fail('duplicate', 'this is stated already for that lane', span, 'keep one of the two')
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
