import type { BannedPolicy, BannedSettings, PipelineSettings, VirusSettings } from './model.ts'
import { choiceOf, finish, placeOf, positive, sizeOf, tagOf } from './pipeline-draft.ts'
import type { ParseStatement, PipelineDraft } from './pipeline-draft.ts'
import { parseSpam } from './pipeline-spam.ts'
import { parseTables, parseWholeList } from './table-grammar.ts'
import type { TokenReader } from './token-reader.ts'

/** What the filter checks, and what follows from it. */
export const filterStatements: Readonly<Record<string, ParseStatement>> = {
  spam: parseSpam,
  'auth-results': parseAuthResults,
  virus: parseVirus,
  banned: parseBanned,
}

const checks = ['spf', 'dkim', 'dmarc', 'arc'] as const

/** `auth-results [verify spf dkim dmarc arc] [min-key-bits 1024] [trust-arc <T>]`. */
function parseAuthResults(draft: PipelineDraft): void {
  const { reader } = draft
  let { authResults, authentication } = draft.settings
  reader.next()
  do {
    if (reader.accept('verify')) authResults = checksOf(reader)
    else if (reader.accept('min-key-bits')) authentication = { ...authentication, minKeyBits: keyBitsOf(reader) }
    else if (reader.accept('trust-arc')) {
      const trustedSealers = parseTables(draft.policy, 'either', '"trust-arc"')
      authentication = { ...authentication, trustedSealers }
    } else reader.unexpected('a setting of auth-results', ['verify', 'min-key-bits', 'trust-arc'])
  } while (!reader.atEnd())
  finish(draft, { authResults, authentication })
}

function checksOf(reader: TokenReader): PipelineSettings['authResults'] {
  const found = new Set<(typeof checks)[number]>()
  while (checks.some((check) => reader.at(check))) found.add(choiceOf(reader, checks, 'a check'))
  return [...found]
}

/** Shorter RSA keys than 512 bits nobody has had, longer than 4096 no verifier must know (RFC 8301 §3.2). */
function keyBitsOf(reader: TokenReader): number {
  const { value, span } = reader.number('a number of bits')
  if (value < 512 || value > 4096) reader.fail('value', 'RSA keys have 512 to 4096 bits', span)
  if (value < 1024) {
    const message = `DKIM keys of ${value} bits can be broken, and prove nothing`
    reader.warn('short-keys', message, span, '1024, the default, is the least that RFC 8301 allows')
  }
  return value
}

/** `virus clamd PLACE [timeout D] [infected reject|quarantine|discard|tag] [on-failure defer|proceed]`, or `virus for tag T infected ...`. */
function parseVirus(draft: PipelineDraft): void {
  const { reader } = draft
  reader.next()
  if (reader.accept('for')) return parseVirusPolicy(draft)
  if (draft.settings.virus !== undefined)
    reader.fail('duplicate', '"virus clamd" is stated already', reader.peek().span, 'keep one of the two')
  reader.expect('clamd', 'behind "virus"')
  const clamd = placeOf(reader, 'clamd')
  let virus: VirusSettings = { clamd, timeoutMs: 30_000, infected: 'quarantine', onFailure: 'defer', policies: [] }
  while (!reader.atEnd()) {
    if (reader.accept('timeout')) virus = { ...virus, timeoutMs: reader.duration('timeout') }
    else if (reader.accept('infected')) virus = { ...virus, infected: choiceOf(reader, dangerChoices, 'what to do') }
    else if (reader.accept('on-failure'))
      virus = { ...virus, onFailure: choiceOf(reader, failureChoices, 'what to do') }
    else reader.unexpected('an option of virus', ['timeout', 'infected', 'on-failure'])
  }
  finish(draft, { virus })
}

/** `virus for tag T infected reject|quarantine|discard|tag`; statements add up. */
function parseVirusPolicy(draft: PipelineDraft): void {
  const { reader } = draft
  const { virus } = draft.settings
  if (virus === undefined)
    return reader.fail(
      'incomplete',
      'nobody looks for viruses so far',
      reader.last.span,
      'write `virus clamd ...` before it',
    )
  reader.expect('tag', 'behind "for"')
  const policy = { tag: tagOf(reader) }
  reader.expect('infected', 'behind the tag')
  const infected = choiceOf(reader, dangerChoices, 'what to do')
  finish(draft, { virus: { ...virus, policies: [...virus.policies, { ...policy, infected }] } })
}

const dangerChoices = ['reject', 'quarantine', 'discard', 'tag'] as const
const failureChoices = ['defer', 'proceed'] as const

const defaultLimits: BannedSettings['limits'] = { depth: 8, files: 10_000, unpackedBytes: 268_435_456 }

/** `banned files ...`, `banned for tag T files ...`, `banned limits ...`. */
function parseBanned(draft: PipelineDraft): void {
  const { reader } = draft
  const { span } = reader.next()
  const banned = draft.settings.banned ?? { policies: [], limits: defaultLimits }
  if (reader.accept('limits')) {
    if (banned.limits !== defaultLimits)
      reader.fail('duplicate', '"banned limits" is stated already', span, 'keep one of the two')
    return finish(draft, { banned: { ...banned, limits: parseBannedLimits(reader) } })
  }
  const tag = reader.accept('for') ? tagBehind(reader) : undefined
  if (banned.policies.some((policy) => policy.tag?.toLowerCase() === tag?.toLowerCase())) {
    const whose = tag === undefined ? 'without a tag' : `for the tag "${tag}"`
    reader.fail('duplicate', `"banned files" ${whose} is stated already`, span, 'keep one of the two')
  }
  const policy = { ...(tag === undefined ? {} : { tag }), ...parseBannedPolicy(draft) }
  finish(draft, { banned: { ...banned, policies: [...banned.policies, policy] } })
}

function tagBehind(reader: TokenReader): string {
  reader.expect('tag', 'behind "for"')
  return tagOf(reader)
}

/** `files default|any|<table> [found ACTION] [macros ACTION|pass] [encrypted ACTION|pass] [unreadable ACTION|pass]`. */
function parseBannedPolicy(draft: PipelineDraft): BannedPolicy {
  const { reader } = draft
  if (!reader.accept('files')) reader.unexpected('which files', ['files', 'for', 'limits'])
  let policy: BannedPolicy = {
    files: filesOf(draft),
    found: 'quarantine',
    macros: 'pass',
    encrypted: 'pass',
    unreadable: 'pass',
  }
  while (!reader.atEnd()) {
    const option = choiceOf(reader, ['found', 'macros', 'encrypted', 'unreadable'] as const, 'an option of banned')
    const action =
      option === 'found'
        ? choiceOf(reader, dangerChoices, 'what to do')
        : choiceOf(reader, [...dangerChoices, 'pass'] as const, 'what to do')
    policy = { ...policy, [option]: action }
  }
  return policy
}

function filesOf({ reader, policy }: PipelineDraft): BannedPolicy['files'] {
  if (reader.accept('default')) return 'default'
  return reader.accept('any') ? 'any' : parseWholeList(policy, '"files"')
}

/** `limits [depth N] [files N] [unpacked SIZE]`. */
function parseBannedLimits(reader: TokenReader): BannedSettings['limits'] {
  let limits = defaultLimits
  do {
    const option = choiceOf(reader, ['depth', 'files', 'unpacked'] as const, 'a limit')
    if (option === 'unpacked') limits = { ...limits, unpackedBytes: sizeOf(reader) }
    else limits = { ...limits, [option]: positive(reader) }
  } while (!reader.atEnd())
  return limits
}
