import { parseAtRest } from './at-rest.ts'
import type { PolicyDraft } from './policy-draft.ts'
import {
  declareCa,
  parseDelays,
  parseDelimiter,
  parseLimits,
  parseMaximumSize,
  parseSmtpLimits,
  readDhe,
  schedulerLimits,
  setLimits,
  setMaximumDeferred,
  setMtaLimits,
  setMdaLimits,
} from './modern-settings.ts'
import { resolvePath } from './path.ts'
import { readCiphers } from './tls-words.ts'
import { positionOf } from './token-reader.ts'

const ciphersHint = 'write `ciphers`, or remove it: TLS 1.2 and 1.3 choose well by themselves'

/** `pki NAME certificate FILE | key FILE | dhe MODE | dhparams FILE | ca FILE ...`; statements of one name add up. */
export function parseOldPki(draft: PolicyDraft): void {
  const { reader } = draft
  reader.next()
  const written = reader.string('the name of the pki')
  const name = { ...written, text: written.text.toLowerCase() }
  draft.names.touch('pki', name)
  const pki = draft.pkis.get(name.text) ?? { at: positionOf(name), span: name.span }
  draft.pkis.set(name.text, pki)
  const told = pki.faulty
  pki.faulty = true
  while (!reader.atEnd()) {
    const option = reader.peek()
    if (reader.accept('certificate')) pki.cert = parseFile(draft, 'the certificate')
    else if (reader.accept('key')) pki.key = parseFile(draft, 'the key')
    else if (reader.accept('ca')) {
      const hint = `write: ca ${written.text} certificate "/path", and ca ${written.text} on the listener`
      reader.tolerate('portability', 'a ca inside a pki is of 5.4 only', option.span, hint)
      draft.names.touch('ca', name)
      draft.cas.set(name.text, parseFile(draft, 'the CA certificates'))
    } else if (reader.accept('dhe')) pki.dhe = readDhe(reader)
    else if (reader.accept('dhparams')) {
      reader.string('a file')
      reader.tolerate('portability', 'DH parameters are not read: TLS chooses its groups', option.span, 'remove it')
    } else if (reader.at('cert')) {
      reader.fail('unknown-keyword', '"cert" is of the new grammar', option.span, 'write `certificate`')
    } else reader.unexpected('certificate or key', ['certificate', 'key', 'dhe'])
  }
  reader.endOfStatement()
  pki.faulty = told ?? false
}

/** `ca NAME certificate FILE`. */
export function parseOldCa(draft: PolicyDraft): void {
  const { reader } = draft
  reader.next()
  const written = reader.string('the name of the ca')
  const name = { ...written, text: written.text.toLowerCase() }
  declareCa(draft, name)
  reader.expect('certificate', 'behind the name of the ca')
  draft.cas.set(name.text, parseFile(draft, 'the CA certificates'))
  reader.endOfStatement()
}

/** `expire DURATION`: how long mail is tried. */
export function parseExpire(draft: PolicyDraft): void {
  draft.reader.next()
  draft.queueTtlMs = draft.reader.duration('expire')
  draft.reader.endOfStatement()
}

/** `bounce-warn [DURATION, ...]`: without a delay nobody is warned. */
export function parseBounceWarn(draft: PolicyDraft): void {
  draft.reader.next()
  if (draft.reader.atEnd()) draft.bounceWarnMs = []
  else parseDelays(draft)
  draft.reader.endOfStatement()
}

export function parseOldMaximumSize(draft: PolicyDraft): void {
  draft.reader.next()
  parseMaximumSize(draft)
  draft.reader.endOfStatement()
}

export function parseMaximumDeferred(draft: PolicyDraft): void {
  draft.reader.next()
  setMaximumDeferred(draft)
  draft.reader.endOfStatement()
}

export function parseOldDelimiter(draft: PolicyDraft): void {
  draft.reader.next()
  parseDelimiter(draft)
  draft.reader.endOfStatement()
}

export function parseOldCiphers(draft: PolicyDraft): void {
  draft.reader.next()
  draft.ciphers = readCiphers(draft.reader)
  draft.reader.endOfStatement()
}

/** `curve NAME`, of 5.7 only. */
export function parseCurve(draft: PolicyDraft): void {
  const { reader } = draft
  const word = reader.next()
  reader.string('the name of a curve')
  reader.tolerate('portability', '"curve" is of 5.7 only and has no effect', word.span, ciphersHint)
  reader.endOfStatement()
}

/** `limit session | mda | scheduler KEY N ...` and `limit mta [for domain NAME] ...`. */
export function parseOldLimit(draft: PolicyDraft): void {
  const { reader } = draft
  reader.next()
  const { limits } = draft
  if (reader.accept('session')) parseSmtpLimits(draft)
  else if (reader.accept('mda')) setMdaLimits(draft)
  else if (reader.accept('scheduler')) {
    setLimits(draft, { scheduler: parseLimits(draft, limits.scheduler, schedulerLimits) })
  } else if (reader.accept('mta')) setMtaLimits(draft)
  else reader.unexpected('what is limited', ['session', 'mta', 'mda', 'scheduler'])
  reader.endOfStatement()
}

/** `queue compression` and `queue encryption [key KEY]`. */
export function parseOldQueue(draft: PolicyDraft): void {
  draft.reader.next()
  if (!parseAtRest(draft)) draft.reader.unexpected('compression or encryption', ['compression', 'encryption'])
  draft.reader.endOfStatement()
}

function parseFile(draft: PolicyDraft, what: string): string {
  const file = draft.reader.string(`the file of ${what}`)
  const path = resolvePath(file.text, file.span.file)
  draft.files.push({ path, what, span: file.span })
  return path
}
