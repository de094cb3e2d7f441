import assert from 'node:assert/strict'
import { test } from 'node:test'

import fc from 'fast-check'

import { classifyReply } from './reply-class.ts'
import type { ReplyClass } from './reply-class.ts'
import { parseReplyLine } from './reply.ts'

const said: readonly (readonly [line: string, is: ReplyClass])[] = [
  // Codes that say one thing.
  ['550 5.1.1 <jane@far.test>: Recipient address rejected', 'unknown-user'],
  ['550 5.1.6 Moved', 'unknown-user'],
  ['551 User not local', 'unknown-user'],
  ['550 5.1.2 The domain far.test does not exist', 'dns'],
  ['451 4.4.3 The mail servers of far.test could not be looked up', 'dns'],
  ['556 5.1.10 The domain far.test takes no mail (null MX)', 'dns'],
  ['553 5.1.8 Domain of sender address does not exist', 'bad-sender'],
  ['452 4.2.2 The mailbox is full', 'mailbox-full'],
  ['552 5.3.4 Message size exceeds fixed limit', 'too-big'],
  ['451 4.4.1 No mail server answered', 'connection'],
  ['451 4.4.2 The connection was lost', 'connection'],
  ['554 5.4.6 Too many hops', 'loop'],
  ['554 5.4.7 Delivery time expired; last reply: 451 4.7.1 Greylisted', 'expired'],
  ['452 4.5.3 Too many recipients', 'rate-limit'],
  ['535 5.7.8 Authentication credentials invalid', 'login'],
  ['530 5.7.0 Authentication required', 'login'],
  ['530 5.7.0 Must issue a STARTTLS command first', 'tls'],
  ['550 5.7.30 REQUIRETLS support required', 'tls'],
  ['550 5.7.23 SPF validation failed', 'authentication'],
  ['550 5.7.25 No reverse name', 'authentication'],
  // The large receivers.
  ['421 4.7.28 Our system has detected an unusual rate of unsolicited mail from your IP address', 'rate-limit'],
  ['450 4.2.1 The user you are trying to contact is receiving mail too quickly', 'rate-limit'],
  ['550 5.7.26 This mail has been blocked because the sender is unauthenticated', 'authentication'],
  ['550 5.7.1 Our system has detected that this message is likely unsolicited mail', 'spam'],
  ['552 5.7.0 This message was blocked: its content presents a potential security issue', 'content'],
  ['421 4.7.0 [TSS04] Messages temporarily deferred due to unexpected volume or user complaints', 'rate-limit'],
  ['554 5.7.9 Message not accepted for policy reasons', 'policy'],
  ['553 5.7.1 [BL21] Connections will not be accepted, the address is in the list of Spamhaus', 'spam'],
  ['451 4.7.650 The mail server has been temporarily rate limited due to IP reputation', 'rate-limit'],
  ['451 4.7.500 Please try again later', 'rate-limit'],
  ['550 5.7.509 Access denied, sending domain does not pass DMARC verification', 'authentication'],
  ['550 5.7.606 Access denied, banned sending IP', 'spam'],
  ['550 5.1.10 RESOLVER.ADR.RecipientNotFound; Recipient not found by SMTP address lookup', 'unknown-user'],
  ['550 5.4.1 Recipient address rejected: Access denied', 'unknown-user'],
  ['554 IP=192.0.2.1 - None/bad reputation', 'spam'],
  // Common servers.
  ['450 4.2.0 <jane@far.test>: Recipient address rejected: Greylisted', 'greylisted'],
  ['451 4.7.1 Greylisting in action, please come back later', 'greylisted'],
  ['421 4.7.0 Too many concurrent connections', 'rate-limit'],
  ['421 Too many messages in this session', 'rate-limit'],
  ['451 4.7.1 Please try again later', 'policy'],
  ['554 5.7.1 <jane@far.test>: Relay access denied', 'policy'],
  ['550 No such user here', 'unknown-user'],
  ['550 User jane unknown', 'unknown-user'],
  ['550 5.2.1 The mailbox is disabled', 'mailbox-disabled'],
  ['552 Mailbox quota exceeded', 'mailbox-full'],
  ['552 Message too large', 'too-big'],
  ['454 4.7.0 TLS not available', 'tls'],
  ['451 4.3.5 The configuration has no relay action "out"', 'server'],
  ['421 Service not available', 'server'],
  ['503 5.5.1 MAIL first', 'protocol'],
  ['550 5.6.1 Media not supported', 'content'],
  ['550 Administrative prohibition', 'other'],
  ['554 Transaction failed', 'other'],
]

for (const [line, expected] of said) {
  test(`"${line}" is about: ${expected}`, () => {
    const reply = parseReplyLine(line)
    assert.ok(reply !== undefined)
    assert.equal(classifyReply(reply), expected)
  })
}

test('whatever a server says has a class', () => {
  const refusals = fc.record({ code: fc.integer({ min: 400, max: 599 }), text: fc.string({ maxLength: 1_000 }) })
  fc.assert(fc.property(refusals, (reply) => classifyReply(reply) !== undefined))
})
