import { parseMailbox } from '../mail/address.ts'
import type { DigestSettings } from './model.ts'
import { finish } from './pipeline-draft.ts'
import type { ParseStatement, PipelineDraft } from './pipeline-draft.ts'

/** What happens to mail that the filter keeps back. */
export const quarantineStatements: Readonly<Record<string, ParseStatement>> = { quarantine: parseQuarantine }

const shortestDigestMs = 900_000
const dayMs = 86_400_000

/** `quarantine [keep D] [digest every D [at "07:00"] [to recipients|"address"]]`, in one statement or two. */
function parseQuarantine(draft: PipelineDraft): void {
  const { reader, stated } = draft
  let { quarantine } = draft.settings
  reader.next()
  const statedOnce = (word: string): void => {
    if (stated.has(`quarantine ${word}`))
      reader.fail('duplicate', `"quarantine ${word}" is stated already`, reader.last.span, 'keep one of the two')
    stated.add(`quarantine ${word}`)
  }
  do {
    if (reader.accept('keep')) {
      statedOnce('keep')
      quarantine = { ...quarantine, keepMs: reader.duration('keep') }
    } else if (reader.accept('digest')) {
      statedOnce('digest')
      quarantine = { ...quarantine, digest: parseDigest(draft) }
    } else reader.unexpected('a setting of quarantine', ['keep', 'digest'])
  } while (!reader.atEnd())
  finish(draft, { quarantine })
}

function parseDigest({ reader }: PipelineDraft): DigestSettings {
  reader.expect('every', 'behind "digest"')
  const { span } = reader.peek()
  const everyMs = reader.duration('every')
  if (everyMs < shortestDigestMs) reader.fail('value', 'digests are sent every 15m at most', span, '1d')
  let digest: DigestSettings = { everyMs, to: 'recipients' }
  for (;;) {
    if (reader.accept('at')) {
      if (everyMs % dayMs !== 0) reader.fail('value', 'with "at" digests are sent every so many days', span, '1d')
      digest = { ...digest, atMinute: minuteOf(reader) }
    } else if (reader.accept('to'))
      digest = { ...digest, to: reader.accept('recipients') ? 'recipients' : mailboxOf(reader) }
    else return digest
  }
}

function minuteOf(reader: PipelineDraft['reader']): number {
  const time = reader.string('a time of the day')
  const [, hours, minutes] = /^(\d{1,2}):(\d{2})$/.exec(time.text) ?? []
  if (hours === undefined || Number(hours) > 23 || Number(minutes) > 59)
    return reader.fail('value', `"${time.text}" is no time of the day`, time.span, '"07:00"')
  return Number(hours) * 60 + Number(minutes)
}

function mailboxOf(reader: PipelineDraft['reader']): Exclude<DigestSettings['to'], 'recipients'> {
  const address = reader.string('recipients or an address')
  return (
    parseMailbox(address.text) ??
    reader.fail('value', `"${address.text}" is not an address`, address.span, 'recipients, or "postmaster@example.org"')
  )
}

/** What a digest needs beside its own words; asked when all of pipeline.conf is read. */
export function checkDigest({ reader, settings, statedAt }: PipelineDraft): void {
  const { quarantine, dashboard } = settings
  const span = statedAt.get('quarantine')
  if (quarantine.digest === undefined || span === undefined) return
  if (dashboard.url === undefined)
    reader.report(
      'incomplete',
      'the links of digests lead to the dashboard, and it is not told where readers reach it',
      span,
      'dashboard listen "127.0.0.1:8080" url "https://mail.example.org"',
    )
  if (dashboard.readOnly)
    reader.report(
      'value',
      'the links of digests change what is held, and the dashboard is read-only',
      span,
      'leave one of the two out',
    )
}
