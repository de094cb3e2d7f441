import { formatReply } from './mail/reply.ts'
import type { Reply } from './mail/reply.ts'

const mostLines = 60
const mostLength = 200
const masked = '********'
/** Whatever else a client says may be content, or a password at the wrong place. */
const verbs =
  /^(?:HELO|EHLO|LHLO|MAIL|RCPT|DATA|BDAT|RSET|NOOP|QUIT|STARTTLS|AUTH|VRFY|EXPN|HELP|ETRN|XCLIENT|XFORWARD)(?: |$)/i

/** What stands behind AUTH, and is no mechanism, is a response without one. */
const mechanism =
  /^AUTH +(?:PLAIN|LOGIN|XOAUTH2|OAUTHBEARER|EXTERNAL|ANONYMOUS|GSSAPI|NTLM|[A-Z]+-MD5|SCRAM-[A-Z0-9-]+)(?= |$)/i

function maskedAuth(line: string): string {
  const shown = mechanism.exec(line)?.[0] ?? 'AUTH'
  return line.trimEnd().length > shown.length ? `${shown} ${masked}` : shown
}

/**
 * What client and server said before and in a transaction, as far as it is nobody's secret: no credentials, no content. The session's
 * beginning stands before each transaction; of a long talk the middle is left out.
 */
export class SmtpTalk {
  /** Up to the first MAIL. */
  readonly #beginning: string[] = []
  #lines: string[] = []
  #hasBegun = false

  /** @param inDialogue it answers a challenge of AUTH */
  client(line: string, inDialogue: boolean): void {
    if (/^MAIL /i.test(line) && !inDialogue) {
      this.#hasBegun = true
      this.#lines = []
    }
    if (inDialogue) return this.#add(`C: ${masked}`)
    if (!verbs.test(line)) return this.#add('C: (no command)')
    this.#add(`C: ${/^AUTH(?: |$)/i.test(line) ? maskedAuth(line) : line}`)
  }

  server(text: string): void {
    for (const line of text.split('\r\n'))
      if (line !== '') this.#add(`S: ${line.startsWith('334') ? `334 ${masked}` : line}`)
  }

  /** One that was read from another server. */
  reply(reply: Reply): void {
    const [first = '', ...more] = reply.text.split('\n')
    this.server([formatReply({ ...reply, text: first }), ...more.map((line) => `${reply.code}-${line}`)].join('\r\n'))
  }

  /** Something that both did: the handshake of TLS. */
  both(text: string): void {
    this.#add(`*: ${text}`)
  }

  lines(): readonly string[] {
    const all = [...this.#beginning, ...this.#lines]
    if (all.length <= mostLines) return all
    const half = mostLines / 2
    return [...all.slice(0, half), `*: ${all.length - mostLines} lines are left out`, ...all.slice(-half)]
  }

  #add(line: string): void {
    const lines = this.#hasBegun ? this.#lines : this.#beginning
    if (lines.length < mostLines * 2) lines.push(line.slice(0, mostLength))
  }
}
