import type { PipelineSettings, VirusSettings } from './model.ts'
import { finish, choiceOf, placeOf } from './pipeline-draft.ts'
import type { ParseStatement, PipelineDraft } from './pipeline-draft.ts'
import { parseSpam } from './pipeline-spam.ts'
import { parseWholeList } from './table-grammar.ts'

/** What the filter checks, and what follows from it. */
export const filterStatements: Readonly<Record<string, ParseStatement>> = {
  spam: parseSpam,
  'auth-results': parseAuthResults,
  virus: parseVirus,
  banned: parseBanned,
}

/** `auth-results verify spf dkim dmarc arc`. */
function parseAuthResults(draft: PipelineDraft): void {
  const { reader } = draft
  reader.next()
  reader.expect('verify', 'behind "auth-results"')
  const authResults: PipelineSettings['authResults'][number][] = []
  while (!reader.atEnd()) authResults.push(choiceOf(reader, ['spf', 'dkim', 'dmarc', 'arc'] as const, 'a check'))
  finish(draft, { authResults: [...new Set(authResults)] })
}

/** `virus clamd PLACE [timeout D] [infected reject|quarantine|discard|tag] [on-failure defer|proceed]`. */
function parseVirus(draft: PipelineDraft): void {
  const { reader } = draft
  reader.next()
  reader.expect('clamd', 'behind "virus"')
  const clamd = placeOf(reader, 'clamd')
  let virus: VirusSettings = { clamd, timeoutMs: 30_000, infected: 'quarantine', onFailure: 'defer' }
  while (!reader.atEnd()) {
    if (reader.accept('timeout')) virus = { ...virus, timeoutMs: reader.duration('timeout') }
    else if (reader.accept('infected')) virus = { ...virus, infected: choiceOf(reader, dangerChoices, 'what to do') }
    else if (reader.accept('on-failure'))
      virus = { ...virus, onFailure: choiceOf(reader, failureChoices, 'what to do') }
    else reader.unexpected('an option of virus', ['timeout', 'infected', 'on-failure'])
  }
  finish(draft, { virus })
}

const dangerChoices = ['reject', 'quarantine', 'discard', 'tag'] as const
const failureChoices = ['defer', 'proceed'] as const

/** `banned files default|<table> [found reject|quarantine|discard|tag]`. */
function parseBanned(draft: PipelineDraft): void {
  const { reader } = draft
  reader.next()
  reader.expect('files', 'behind "banned"')
  const files = reader.accept('default') ? 'default' : parseWholeList(draft.policy, '"files"')
  const found = reader.accept('found') ? choiceOf(reader, dangerChoices, 'what to do') : 'quarantine'
  finish(draft, { banned: { files, found } })
}
