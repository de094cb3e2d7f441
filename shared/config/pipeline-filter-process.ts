import { closest } from './diagnostic.ts'
import type { FilterProcessSettings } from './model.ts'
import { parseBeforeAccept } from './pipeline-before-accept.ts'
import { choiceOf, finish } from './pipeline-draft.ts'
import type { ParseStatement, PipelineDraft } from './pipeline-draft.ts'
import { positionOf } from './token-reader.ts'

/** How the filter processes of smtpd.conf are run, and when the filter of the queue is asked. */
export const filterProcessStatements: Readonly<Record<string, ParseStatement>> = {
  filter: parseFilter,
}

const defaultSettings: FilterProcessSettings = { protocol: '0.7', timeoutMs: 60_000, onFailure: 'tempfail' }

function parseFilter(draft: PipelineDraft): void {
  const { reader } = draft
  const at = positionOf(reader.next())
  const word = choiceOf(reader, ['before-accept', 'protocol', 'timeout'] as const, 'a setting of the filter')
  if (word === 'before-accept') parseBeforeAccept(draft, at)
  else parseFilterProcess(draft, word)
}

/** `filter protocol NAME VERSION` and `filter timeout NAME DURATION [on-failure tempfail|proceed]`; statements of one name add up. */
function parseFilterProcess(draft: PipelineDraft, word: 'protocol' | 'timeout'): void {
  const { reader } = draft
  const name = processName(draft)
  const settings = draft.settings.filters.get(name) ?? defaultSettings
  const change =
    word === 'protocol'
      ? { protocol: choiceOf(reader, ['0.4', '0.5', '0.6', '0.7'] as const, 'a version of the filter protocol') }
      : filterTimeout(draft)
  const already = `filter ${word} ${name}`
  if (draft.stated.has(already)) {
    reader.fail('duplicate', `the ${word} of "${name}" is stated already`, reader.peek().span, 'keep one of the two')
  }
  draft.stated.add(already)
  finish(draft, { filters: new Map([...draft.settings.filters, [name, { ...settings, ...change }]]) })
}

function filterTimeout({ reader }: PipelineDraft): Pick<FilterProcessSettings, 'timeoutMs'> & {
  readonly onFailure?: FilterProcessSettings['onFailure']
} {
  const timeoutMs = reader.duration('timeout')
  if (!reader.accept('on-failure')) return { timeoutMs }
  return { timeoutMs, onFailure: choiceOf(reader, ['tempfail', 'proceed'] as const, 'what to do') }
}

function processName({ reader, policy }: PipelineDraft): string {
  const name = reader.string('the name of a filter process')
  if (policy.processNames.has(name.text)) return name.text
  const meant = closest(name.text, policy.processNames)
  const hint =
    meant === undefined ? 'name a proc, or a filter with proc-exec, of smtpd.conf' : `did you mean "${meant}"?`
  return reader.fail('unknown-name', `smtpd.conf has no filter process "${name.text}"`, name.span, hint)
}
