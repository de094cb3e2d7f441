import { findPeer } from './peer.ts'
import { type Finished, run } from './process.ts'

export interface CurlMail {
  /** `smtp://127.0.0.1:2525` (STARTTLS demanded) or `smtps://127.0.0.1:2465`. */
  readonly url: string
  readonly from: string
  readonly to: string
  /** With CRLF line ends. */
  readonly content: string
  /** `user:password`. */
  readonly login?: string
}

/** Sends one message by curl, inside TLS; certificates are not looked at. Exit code 0 means that it was taken. */
export function curlMail({ url, from, to, content, login }: CurlMail): Promise<Finished> {
  const how = ['--silent', '--show-error', '--insecure', '--ssl-reqd', '--url', url, '--upload-file', '-']
  const envelope = ['--mail-from', from, '--mail-rcpt', to]
  const who = login === undefined ? [] : ['--user', login]
  return run(findPeer('curl') ?? 'curl', [...how, ...envelope, ...who], { input: content, timeoutMs: 120_000 })
}
