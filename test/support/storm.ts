import { setTimeout as pause } from 'node:timers/promises'

import { bodyOf, bodySha256, testMessage } from './messages.ts'
import { SmtpClient } from './smtp-client.ts'

export interface StormOptions {
  /** Asked before each connection when it is a function: the host may be another one by then. */
  readonly port: number | (() => number)
  readonly messages: number
  readonly sessions?: number
  readonly bytes?: number
  readonly to?: string
  /** Begins the ids, where there are several storms. */
  readonly name?: string
}

export interface StormResult {
  /** Every id, with the SHA-256 its body must still have. */
  readonly sent: ReadonlyMap<string, string>
  /** Ids whose final dot was never answered once: they may arrive twice, for the client had to send them again. */
  readonly uncertain: ReadonlySet<string>
}

/**
 * Sends messages as an MTA with a queue does: what was not answered 250 is sent again until it is, whatever becomes of the
 * server meanwhile.
 */
export async function sendStorm(options: StormOptions): Promise<StormResult> {
  const { messages, sessions = 10, bytes = 4096, name = 'storm' } = options
  const sent = new Map<string, string>()
  const uncertain = new Set<string>()
  let next = 0
  const worker = async () => {
    let client: SmtpClient | undefined
    while (next < messages) {
      const id = `${name}-${next++}`
      const body = bodyOf(id, bytes)
      sent.set(id, bodySha256(body))
      client = await sendUntilTaken(options, client, id, body, uncertain)
    }
    await client?.quit().catch(() => undefined)
  }
  await Promise.all(Array.from({ length: sessions }, worker))
  return { sent, uncertain }
}

async function sendUntilTaken(
  options: StormOptions,
  client: SmtpClient | undefined,
  id: string,
  body: string,
  uncertain: Set<string>,
): Promise<SmtpClient> {
  const to = options.to ?? 'jane@sluice.test'
  let current = client
  for (;;) {
    let mayHaveArrived = false
    try {
      current ??= await SmtpClient.ready({ port: portOf(options), timeoutMs: 120_000 })
      mayHaveArrived = true
      const reply = await current.send({ from: 'storm@remote.test', to: [to], content: testMessage({ id, to, body }) })
      if (reply.code === 250) return current
      mayHaveArrived = false
      if (reply.code >= 500) throw new Error(`refused for good: ${reply.raw}`)
    } catch (error) {
      if (String(error).includes('refused for good')) throw error
      if (mayHaveArrived) uncertain.add(id)
    }
    current?.destroy()
    current = undefined
    await pause(100)
  }
}

function portOf({ port }: StormOptions): number {
  return typeof port === 'number' ? port : port()
}
