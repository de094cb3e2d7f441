import { html } from '../html.ts'
import type { Html } from '../html.ts'
import type { Mailbox, ReversePath } from '../mail/address.ts'
import { encodeQuotedPrintable } from '../mail/dsn-encoding.ts'
import type { MessageId } from '../mail/message-id.ts'
import { formatSecond, plural } from '../report/units.ts'
import type { LinkAction } from './links.ts'
import { readableLine } from './readable-line.ts'

/** One message that was kept back, as a digest tells it. */
export interface DigestEntry {
  readonly from: ReversePath
  /** Who it was for, when the digest is about the mail of many. */
  readonly to?: Mailbox
  /** Fields as the sender wrote them, encoded words decoded. */
  readonly author?: string
  readonly subject?: string
  /** Epoch ms. */
  readonly receivedAt: number
  readonly reason: string
  readonly links: readonly { readonly action: LinkAction; readonly url: string }[]
}

export interface Digest {
  /** Of the digest itself; its Message-ID and boundary come from it, so that equal inputs give equal octets. */
  readonly id: MessageId
  readonly hostname: string
  readonly to: Mailbox
  readonly nowAt: number
  readonly entries: readonly DigestEntry[]
  /** Messages that are not among the entries. */
  readonly more: number
  /** Epoch ms. */
  readonly linksExpireAt: number
}

const labels: Readonly<Record<LinkAction, string>> = {
  release: 'Deliver it',
  ham: 'Deliver it, and learn that it is wanted',
  delete: 'Delete it',
  block: 'Delete it, and block the sender',
}

/** A complete message: a text and the same in HTML, 7-bit. What strangers wrote stands in it as text, each on one line. */
export function composeDigest(digest: Digest): Buffer {
  const { id, hostname, to, nowAt } = digest
  const boundary = `=_${id}`
  const header = [
    `Date: ${new Date(nowAt).toUTCString().replace('GMT', '+0000')}`,
    `From: Mail quarantine <MAILER-DAEMON@${hostname}>`,
    `To: <${to}>`,
    `Subject: ${headline(digest)}`,
    `Message-ID: <${id}@${hostname}>`,
    'Auto-Submitted: auto-generated',
    'MIME-Version: 1.0',
    `Content-Type: multipart/alternative; boundary="${boundary}"`,
    '',
    '',
  ].join('\r\n')
  return Buffer.concat([
    Buffer.from(header),
    part(boundary, 'plain', textOf(digest)),
    part(boundary, 'html', markupOf(digest).text),
    Buffer.from(`--${boundary}--\r\n`),
  ])
}

function headline({ entries, more }: Digest): string {
  return entries.length + more === 1 ? '1 message was kept back' : `${entries.length + more} messages were kept back`
}

/** Each `=` is encoded, so that no line of a part looks like the boundary. */
function part(boundary: string, type: 'plain' | 'html', text: string): Buffer {
  const fields = [
    `--${boundary}`,
    `Content-Type: text/${type}; charset=utf-8`,
    'Content-Transfer-Encoding: quoted-printable',
    '',
    '',
  ].join('\r\n')
  const body = Buffer.from(text.replaceAll(/\r?\n/g, '\r\n'))
  return Buffer.concat([Buffer.from(fields), encodeQuotedPrintable(body), Buffer.from('\r\n')])
}

function introduction(digest: Digest): readonly string[] {
  const { more, linksExpireAt } = digest
  return [
    `${headline(digest)} because of what the filter found. Nobody else has read ${digest.entries.length + more === 1 ? 'it' : 'them'}.`,
    `Each link opens a page that asks once more. Links are good until ${formatSecond(linksExpireAt)}; who has this mail can use them, so do not pass it on.`,
  ]
}

function factsOf({
  from,
  to,
  author,
  subject,
  receivedAt,
  reason,
}: DigestEntry): readonly (readonly [string, string])[] {
  return [
    ['From', readableLine(author ?? '(nobody)')],
    ['Sender', readableLine(from ?? '<>')],
    ...(to === undefined ? [] : [['To', readableLine(to)] as const]),
    ['Subject', readableLine(subject ?? '(none)')],
    ['Received', formatSecond(receivedAt)],
    ['Kept back', readableLine(reason)],
  ]
}

function textOf(digest: Digest): string {
  const { entries, more } = digest
  const blocks = entries.map((entry) =>
    [
      ...factsOf(entry).map(([name, value]) => `${`${name}:`.padEnd(11)}${value}`),
      ...entry.links.map(({ action, url }) => `  ${labels[action]}:\n    ${url}`),
    ].join('\n'),
  )
  const rest = more === 0 ? [] : [`And ${plural(more, 'message')} more.`]
  return `${[...introduction(digest), ...blocks, ...rest].join('\n\n')}\n`
}

function markupOf(digest: Digest): Html {
  const { entries, more } = digest
  return html`<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>${headline(digest)}</title></head>
<body style="font-family:sans-serif">
${introduction(digest).map((line) => html`<p>${line}</p>\n`)}${entries.map((entry) => entryMarkup(entry))}${more > 0 && html`<p>And ${plural(more, 'message')} more.</p>`}
</body></html>
`
}

function entryMarkup(entry: DigestEntry): Html {
  return html`<hr>
<table>
${factsOf(entry).map(([name, value]) => html`<tr><th align="left" valign="top">${name}</th><td>${value}</td></tr>\n`)}</table>
<p>${entry.links.map(({ action, url }) => html`<a href="${url}">${labels[action]}</a><br>\n`)}</p>
`
}
