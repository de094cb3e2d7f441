import { isIPv6 } from 'node:net'

import { closest } from './diagnostic.ts'
import type { Listener } from './model.ts'
import { tagOf } from './pipeline-draft.ts'
import type { TokenReader } from './token-reader.ts'

/** For which listeners of smtpd.conf a statement of pipeline.conf is: those with this tag, or those on this place. */
export type ListenerChoice =
  | { readonly kind: 'tag'; readonly tag: string }
  /** `on` as in smtpd.conf; without a port all listeners there. */
  | { readonly kind: 'listener'; readonly on: string; readonly port?: number }

/** `[on "eth0:25" | tag NAME]`; absent: for all. */
export function choiceOfListeners(reader: TokenReader): ListenerChoice | undefined {
  if (reader.accept('tag')) return { kind: 'tag', tag: tagOf(reader) }
  if (!reader.accept('on')) return undefined
  const { text, span } = reader.string('a listener')
  const [, on, written] = isIPv6(text) ? [text, text] : (placePattern.exec(text) ?? [])
  const port = written === undefined ? undefined : Number(written)
  if (on === undefined || (port !== undefined && (port < 1 || port > 65_535))) {
    return reader.fail('value', `"${text}" is not a listener`, span, '"eth0:25", "eth0" or "[2001:db8::1]:25"')
  }
  return { kind: 'listener', on: on.replace(/^\[(.*)\]$/, '$1'), ...(port === undefined ? {} : { port }) }
}

const placePattern = /^(\[[0-9a-fA-F:.%]+\]|[^:]+)(?::(\d{1,5}))?$/

export function isChosen(
  choice: ListenerChoice | undefined,
  { on, port, tag }: Pick<Listener, 'on' | 'port' | 'tag'>,
): boolean {
  if (choice === undefined) return true
  if (choice.kind === 'tag') return tag?.toLowerCase() === choice.tag.toLowerCase()
  return choice.on.toLowerCase() === on.toLowerCase() && (choice.port === undefined || choice.port === port)
}

/** The statement that holds for a listener: the first that chooses it, else the one for all. */
export function chosenFor<Statement extends { readonly for?: ListenerChoice }>(
  statements: readonly Statement[],
  listener: Pick<Listener, 'on' | 'port' | 'tag'>,
): Statement | undefined {
  const chosen = statements.find((one) => one.for !== undefined && isChosen(one.for, listener))
  return chosen ?? statements.find((one) => one.for === undefined)
}

/** Both are for the same listeners, word for word. */
export function sameChoice(one: ListenerChoice | undefined, other: ListenerChoice | undefined): boolean {
  if (one === undefined || other === undefined) return one === other
  if (one.kind === 'tag') return other.kind === 'tag' && one.tag.toLowerCase() === other.tag.toLowerCase()
  return other.kind === 'listener' && one.on.toLowerCase() === other.on.toLowerCase() && one.port === other.port
}

/** Why the statement would have no effect: no listener is chosen. */
export function faultOfChoice(choice: ListenerChoice | undefined, listeners: readonly Listener[]) {
  if (choice === undefined || listeners.some((listener) => isChosen(choice, listener))) return undefined
  const places = listeners.map(({ on, port }) => `${on}:${port}`)
  const tags = listeners.flatMap(({ tag }) => (tag === undefined ? [] : [tag]))
  const [written, known] =
    choice.kind === 'tag'
      ? [choice.tag, tags]
      : [`${choice.on}${choice.port === undefined ? '' : `:${choice.port}`}`, places]
  const message =
    choice.kind === 'tag' ? `no listener has the tag "${written}"` : `there is no listener on "${written}"`
  const meant = closest(written, known)
  const names = known.length === 0 ? 'remove it: smtpd.conf has none' : `there are: ${known.join(', ')}`
  return { code: 'unknown-name' as const, message, hint: meant === undefined ? names : `did you mean "${meant}"?` }
}
