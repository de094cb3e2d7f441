/** Versions of OpenSMTPD's filter protocol: 6.6 speaks 0.4, 6.7 to 7.3 0.6, 7.4 and later 0.7. */
export type ProtocolVersion = '0.4' | '0.5' | '0.6' | '0.7'

export type FilterAnswer =
  | { readonly kind: 'proceed' | 'junk' }
  | { readonly kind: 'reject' | 'disconnect' | 'rewrite' | 'report'; readonly text: string }

/** What a filter says. */
export type FilterMessage =
  | { readonly kind: 'registers'; readonly what: 'report' | 'filter'; readonly name: string }
  | { readonly kind: 'ready' }
  | { readonly kind: 'result'; readonly session: string; readonly token: string; readonly answer: FilterAnswer }
  | { readonly kind: 'line'; readonly session: string; readonly token: string; readonly line: string }

/** The lines a filter is greeted with. `config|protocol` came with 0.7: older filters may not know it. */
export function configLines(version: ProtocolVersion, admd: string, sessionTimeoutMs: number): readonly string[] {
  return [
    'config|smtpd-version|7.8.0',
    ...(version === '0.7' ? ['config|protocol|0.7'] : []),
    `config|smtp-session-timeout|${Math.round(sessionTimeoutMs / 1000)}`,
    'config|subsystem|smtp-in',
    `config|admd|${admd}`,
    'config|ready',
  ]
}

/** An event of a session; `fields` in the order of 0.7. */
export function reportLine(
  version: ProtocolVersion,
  at: number,
  event: string,
  session: string,
  fields: readonly string[],
): string {
  return joined(['report', version, seconds(at), 'smtp-in', event, session, ...ordered(version, event, fields)])
}

/** A question; the answer repeats session and token. The line ends in `|` when there is no argument. */
export function requestLine(
  version: ProtocolVersion,
  at: number,
  phase: string,
  request: { readonly session: string; readonly token: string; readonly fields: readonly string[] },
): string {
  const { session, token, fields } = request
  const ids = version === '0.4' ? [token, session] : [session, token]
  return joined(['filter', version, seconds(at), 'smtp-in', phase, ...ids, ...fields])
}

/** `undefined` for what no filter may say. */
export function parseMessage(version: ProtocolVersion, text: string): FilterMessage | undefined {
  if (text === 'register|ready') return { kind: 'ready' }
  const registers = /^register\|(report|filter)\|smtp-(?:in|out)\|([a-z-]+|\*)$/.exec(text)
  if (registers !== null)
    return { kind: 'registers', what: registers[1] as 'report' | 'filter', name: registers[2] ?? '' }
  const said = /^filter-(result|dataline)\|([0-9a-f]+)\|([0-9a-f]+)\|(.*)$/s.exec(text)
  if (said === null) return undefined
  const [, kind, first = '', second = '', rest = ''] = said
  const [session, token] = version === '0.4' ? [second, first] : [first, second]
  if (kind === 'dataline') return { kind: 'line', session, token, line: rest }
  const answer = parseAnswer(rest)
  return answer === undefined ? undefined : { kind: 'result', session, token, answer }
}

function parseAnswer(text: string): FilterAnswer | undefined {
  const bar = text.indexOf('|')
  const kind = bar < 0 ? text : text.slice(0, bar)
  switch (kind) {
    case 'proceed':
    case 'junk':
      return { kind }
    case 'reject':
    case 'disconnect':
    case 'rewrite':
    case 'report':
      return bar < 0 ? undefined : { kind, text: text.slice(bar + 1) }
    default:
      return undefined
  }
}

/** 0.6 put results before addresses, 0.7 before users. */
function ordered(version: ProtocolVersion, event: string, fields: readonly string[]): readonly string[] {
  const [first = '', second = '', third = ''] = fields
  if (event === 'link-auth' && version !== '0.7') return [second, first]
  const addressFirst = version === '0.4' || version === '0.5'
  if ((event === 'tx-mail' || event === 'tx-rcpt') && addressFirst) return [first, third, second]
  return fields
}

/** Only the last field may hold a bar, and none a line end: what clients say must not become another field or line. */
function joined(fields: readonly string[]): string {
  const last = fields.length - 1
  return fields
    .map((field, index) => (index < last ? field.replaceAll('|', '?') : field).replaceAll(/[\r\n]/g, ' '))
    .join('|')
}

function seconds(at: number): string {
  const micros = Math.round(at * 1000)
  return `${Math.floor(micros / 1_000_000)}.${String(micros % 1_000_000).padStart(6, '0')}`
}
