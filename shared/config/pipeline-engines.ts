import type { EngineName, EnginePolicy, PipelineSettings } from './model.ts'
import { choiceOf, finish, tagOf } from './pipeline-draft.ts'
import type { ParseStatement, PipelineDraft } from './pipeline-draft.ts'
import { parseTables } from './table-grammar.ts'

/** Which engines look at whose mail. */
export const engineStatements: Readonly<Record<string, ParseStatement>> = { engines: parseEngines }

const names: readonly EngineName[] = ['builtin', 'rspamd', 'spamassassin', 'spamscanner', 'lists', 'banned', 'virus']

/** `engines for tag T NAME ...`, `engines for src <networks> NAME ...`, or `none`; statements add up. */
function parseEngines(draft: PipelineDraft): void {
  const { reader } = draft
  reader.next()
  reader.expect('for', 'behind "engines"')
  const condition = conditionOf(draft)
  const engines: EngineName[] = []
  if (!reader.accept('none')) {
    do {
      engines.push(choiceOf(reader, names, 'an engine, or none'))
      reader.accept(',')
    } while (!reader.atEnd())
  }
  const { enginePolicies } = draft.settings
  finish(draft, { enginePolicies: [...enginePolicies, { for: condition, engines: [...new Set(engines)] }] })
}

function conditionOf(draft: PipelineDraft): EnginePolicy['for'] {
  const { reader } = draft
  if (reader.accept('tag')) return { kind: 'tag', tag: tagOf(reader) }
  if (reader.accept('src')) return { kind: 'src', table: parseTables(draft.policy, 'either', '"src"') }
  return reader.unexpected('whose mail it is for', ['tag', 'src'])
}

/** Who is named must be there; asked when all of pipeline.conf is read. */
export function checkEngines({ reader, settings, statedAt }: PipelineDraft): void {
  const span = statedAt.get('engines')
  if (span === undefined) return
  const named = new Set(settings.enginePolicies.flatMap(({ engines }) => engines))
  for (const name of named) {
    const instead = isThere(name, settings) ? undefined : statementOf[name]
    if (instead !== undefined)
      reader.report('incomplete', `"${name}" is to look at mail, and there is no such engine`, span, `add: ${instead}`)
  }
}

function isThere(name: EngineName, { spam, banned, virus }: PipelineSettings): boolean {
  switch (name) {
    case 'lists':
      return spam.lists.length > 0
    case 'banned':
      return banned !== undefined
    case 'virus':
      return virus !== undefined
    case 'builtin':
    case 'rspamd':
    case 'spamassassin':
    case 'spamscanner':
      return spam.engines.some(({ kind }) => kind === name)
  }
}

const statementOf: Readonly<Record<EngineName, string>> = {
  builtin: 'spam engine builtin',
  rspamd: 'spam engine rspamd "http://127.0.0.1:11333"',
  spamassassin: 'spam engine spamassassin "127.0.0.1:783"',
  spamscanner: 'spam engine spamscanner',
  lists: 'spam list client "ZONE"',
  banned: 'banned files default',
  virus: 'virus clamd "127.0.0.1:3310"',
}
