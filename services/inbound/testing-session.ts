import assert from 'node:assert/strict'
import type { TestContext } from 'node:test'

import { SmtpClient } from '../../test/support/smtp-client.ts'
import { startInbound } from './testing.ts'
import type { TestInbound, TestInboundOptions } from './testing.ts'

/** An inbound service that ends with the test. */
export async function start(t: TestContext, options: TestInboundOptions = {}): Promise<TestInbound> {
  const inbound = await startInbound(options)
  t.after(() => inbound.close())
  return inbound
}

/** A client of it that has said EHLO. */
export async function connected(
  t: TestContext,
  { port }: TestInbound,
  options: Partial<Parameters<typeof SmtpClient.ready>[0]> = {},
): Promise<SmtpClient> {
  const client = await SmtpClient.ready({ port, ...options })
  t.after(() => client.destroy())
  return client
}

/** Each line is sent; its reply must begin as written beside it. */
export async function dialogue(
  client: SmtpClient,
  lines: readonly (readonly [line: string, reply: string])[],
): Promise<void> {
  for (const [line, expected] of lines) {
    const { raw } = await client.command(line)
    assert.ok(raw.startsWith(expected), `${line}\n  expected ${expected}\n  got      ${raw}`)
  }
}

/** The one there must be. */
export function only<T>(all: readonly T[]): T {
  const [one] = all
  assert.ok(one !== undefined && all.length === 1, `${all.length} where there should be one`)
  return one
}
