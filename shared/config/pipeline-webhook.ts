import { BlockList, isIP } from 'node:net'

import { messageEvents } from '../mail/event-names.ts'
import type { MessageEvent } from '../mail/event-names.ts'
import { closest } from './diagnostic.ts'
import { isLoopback } from './loopback.ts'
import type { WebhookSetting } from './model.ts'
import { finish, namedFile } from './pipeline-draft.ts'
import type { ParseStatement, PipelineDraft } from './pipeline-draft.ts'

/** Programs elsewhere that are told what happens to mail. */
export const webhookStatements: Readonly<Record<string, ParseStatement>> = { webhook: parseWebhook }

/** `webhook "https://..." events NAME ... secret file FILE`; an event of two words is written with a hyphen. */
function parseWebhook(draft: PipelineDraft): void {
  const { reader, settings } = draft
  reader.next()
  const url = urlOf(draft)
  reader.expect('events', 'behind the URL')
  const events = new Set([eventOf(draft)])
  while (!reader.at('secret') && !reader.atEnd()) {
    reader.accept(',')
    events.add(eventOf(draft))
  }
  reader.expect('secret', 'behind the events: what the signature is made with')
  reader.expect('file', 'behind "secret"')
  const webhook: WebhookSetting = { url, events: [...events], secretFile: namedFile(draft, 'the secret') }
  finish(draft, { webhooks: [...settings.webhooks, webhook] })
}

function urlOf({ reader, settings }: PipelineDraft): string {
  const { text, span } = reader.string('a URL')
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (url === undefined || !['https:', 'http:'].includes(url.protocol))
    return reader.fail('value', `"${text}" is not a URL of http`, span, '"https://hooks.example.org/mail"')
  if (url.username !== '' || url.password !== '')
    return reader.fail('value', 'a URL holds no password here', span, 'the signature says who it is from')
  if (url.protocol === 'http:' && !isNear(url.hostname))
    return reader.fail('value', `addresses would go to ${url.hostname} in clear`, span, `https, or a host of your own`)
  if (settings.webhooks.some((one) => one.url === url.href))
    return reader.fail('duplicate', `there is a webhook for "${text}" already`, span, 'name all its events in one line')
  return url.href
}

/** This host, a private address, or a name without a dot: those are given to containers. */
export function isNear(hostname: string): boolean {
  const host = hostname.replace(/^\[(.*)\]$/, '$1')
  const family = isIP(host)
  if (family !== 0) return isLoopback(host) || privateNetworks().check(host, family === 6 ? 'ipv6' : 'ipv4')
  return isLoopback(host) || !host.includes('.')
}

/** RFC 1918, RFC 4193. */
function privateNetworks(): BlockList {
  const networks = new BlockList()
  networks.addSubnet('10.0.0.0', 8, 'ipv4')
  networks.addSubnet('172.16.0.0', 12, 'ipv4')
  networks.addSubnet('192.168.0.0', 16, 'ipv4')
  networks.addSubnet('fc00::', 7, 'ipv6')
  return networks
}

function eventOf({ reader }: PipelineDraft): MessageEvent {
  const { text, kind, span } = reader.peek()
  const event = kind === 'word' || kind === 'keyword' ? messageEvents.find((one) => wordOf(one) === text) : undefined
  if (event === undefined) {
    const words = messageEvents.map(wordOf)
    if (kind !== 'word' && kind !== 'keyword') return reader.unexpected('an event', words)
    const meant = closest(text, words)
    const others = `there are: ${words.join(', ')}`
    const hint = meant === undefined ? others : `did you mean "${meant}"? ${others}`
    return reader.fail('unknown-keyword', `there is no event "${text}" about messages`, span, hint)
  }
  reader.next()
  return event
}

function wordOf(event: MessageEvent): string {
  return event.replaceAll(' ', '-')
}
