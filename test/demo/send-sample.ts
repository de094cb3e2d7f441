import { SmtpClient } from '../support/smtp-client.ts'
import type { Sample } from './samples.ts'

/** Where the mail server is that the samples are for. */
export interface Target {
  readonly host: string
  /** For other servers. */
  readonly port: number
  /** For users: TLS from the first octet. */
  readonly submissionPort: number
}

/** The reply that ended it: of the final dot, or the first refusal. @throws Error when there is no session, or the password is refused */
export async function sendSample({ from, to, password, content }: Sample, target: Target): Promise<string> {
  const { host } = target
  const helo = from.replace(/^.*@/, 'mx.')
  const client = await SmtpClient.ready(
    password === undefined
      ? { host, port: target.port, helo }
      : { host, port: target.submissionPort, implicitTls: true, helo, user: from, password },
  )
  try {
    return (await client.send({ from, to: [to], content })).raw
  } finally {
    client.destroy()
  }
}
