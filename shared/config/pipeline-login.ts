import type { LoginSetting, OAuthSetting, SaslMechanism } from './model.ts'
import { choiceOf, finish, namedFile, placeOf } from './pipeline-draft.ts'
import type { ParseStatement, PipelineDraft } from './pipeline-draft.ts'
import { parseTables } from './table-grammar.ts'
import { positionOf } from './token-reader.ts'

/** Who may log in, and how. */
export const loginStatements: Readonly<Record<string, ParseStatement>> = {
  login: parseLogin,
  auth: parseAuth,
}

const mechanismWords = ['plain', 'login', 'scram-sha-256', 'oauthbearer', 'xoauth2'] as const

/** `login SOURCE [, SOURCE ...]`, asked in this order. */
function parseLogin(draft: PipelineDraft): void {
  const { reader } = draft
  reader.next()
  const login = [parseSource(draft)]
  while (reader.accept(',')) login.push(parseSource(draft))
  finish(draft, { login })
}

function parseSource(draft: PipelineDraft): LoginSetting {
  const { reader } = draft
  if (reader.at('passwd')) {
    const at = positionOf(reader.next())
    const path = namedFile(draft, 'the passwd file')
    return { kind: 'table', table: { name: '<login>', source: { kind: 'file', path, format: 'passwd' }, at } }
  }
  if (reader.accept('dovecot')) return { kind: 'dovecot', place: placeOf(reader, 'the auth service of Dovecot') }
  if (reader.accept('http')) return parseHttp(draft)
  if (reader.accept('oauth')) return parseOAuth(draft)
  reader.expect('from', 'or "passwd", "dovecot", "http" or "oauth" here')
  return { kind: 'table', table: parseTables(draft.policy, 'map', '"login"') }
}

/** `http "https://..." [secret file FILE] [timeout TIME]`. */
function parseHttp(draft: PipelineDraft): LoginSetting {
  const { reader } = draft
  let setting: Extract<LoginSetting, { kind: 'http' }> = { kind: 'http', url: urlOf(draft), timeoutMs: 10_000 }
  for (;;) {
    if (reader.accept('secret')) setting = { ...setting, secretFile: secretFile(draft) }
    else if (reader.accept('timeout')) setting = { ...setting, timeoutMs: timeoutOf(draft) }
    else return setting
  }
}

/** `oauth introspect "https://..." [client ID secret file FILE] [user field NAME] [scope NAME] [timeout TIME]`. */
function parseOAuth(draft: PipelineDraft): OAuthSetting {
  const { reader } = draft
  reader.expect('introspect', 'behind "oauth"')
  let setting: OAuthSetting = {
    kind: 'oauth',
    introspectUrl: urlOf(draft),
    userField: 'username',
    timeoutMs: 10_000,
  }
  for (;;) {
    if (reader.accept('client')) {
      const id = reader.string('the id of the client').text
      reader.expect('secret', 'behind the id of the client')
      setting = { ...setting, client: { id, secretFile: secretFile(draft) } }
    } else if (reader.accept('user')) {
      reader.expect('field', 'behind "user"')
      setting = { ...setting, userField: reader.string('the name of a field').text }
    } else if (reader.accept('scope')) setting = { ...setting, scope: reader.string('a scope').text }
    else if (reader.accept('timeout')) setting = { ...setting, timeoutMs: timeoutOf(draft) }
    else return setting
  }
}

function secretFile(draft: PipelineDraft): string {
  draft.reader.expect('file', 'behind "secret"')
  return namedFile(draft, 'the secret')
}

function timeoutOf({ reader }: PipelineDraft): number {
  const token = reader.peek()
  const ms = reader.duration('the time limit')
  if (ms < 1_000 || ms > 120_000) reader.fail('value', 'the time limit is from 1s to 120s', token.span)
  return ms
}

function urlOf({ reader }: PipelineDraft): string {
  const token = reader.string('a URL')
  const url = URL.canParse(token.text) ? new URL(token.text) : undefined
  if (url === undefined || !['https:', 'http:'].includes(url.protocol))
    return reader.fail('value', `"${token.text}" is not a URL of http`, token.span, '"https://auth.example.org/check"')
  if (url.username !== '' || url.password !== '')
    return reader.fail('value', 'a URL holds no password here', token.span, 'write `secret file "/path"` behind it')
  return token.text
}

/** `auth mechanisms NAME ...` and `auth without-tls on | off`, each once. */
function parseAuth(draft: PipelineDraft): void {
  const { reader, settings, stated } = draft
  reader.next()
  const { text, span } = reader.peek()
  if (stated.has(`auth ${text}`))
    reader.fail('duplicate', `"auth ${text}" is stated already`, span, 'keep one of the two')
  stated.add(`auth ${text}`)
  if (reader.accept('without-tls')) {
    const withoutTls = choiceOf(reader, ['on', 'off'], '"on" or "off"') === 'on'
    return finish(draft, { auth: { ...settings.auth, withoutTls } })
  }
  reader.expect('mechanisms', 'or "without-tls" behind "auth"')
  const mechanisms: SaslMechanism[] = []
  do {
    const place = reader.peek().span
    const word = choiceOf(reader, mechanismWords, `a mechanism: ${mechanismWords.join(', ')}`)
    const mechanism = mechanismOf(word)
    if (mechanisms.includes(mechanism)) reader.fail('duplicate', `"${word}" stands there twice`, place)
    mechanisms.push(mechanism)
    reader.accept(',')
  } while (!reader.atEnd())
  finish(draft, { auth: { ...settings.auth, mechanisms } })
}

function mechanismOf(word: (typeof mechanismWords)[number]): SaslMechanism {
  switch (word) {
    case 'plain':
      return 'PLAIN'
    case 'login':
      return 'LOGIN'
    case 'scram-sha-256':
      return 'SCRAM-SHA-256'
    case 'oauthbearer':
      return 'OAUTHBEARER'
    case 'xoauth2':
      return 'XOAUTH2'
  }
}
