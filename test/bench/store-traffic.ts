import type { JournalEntry } from '../../shared/journal.ts'
import type { MessageId } from '../../shared/mail/message-id.ts'

/** Made-up mail of a middle-sized host, the same each time: what its journal would say of it. */
export interface Traffic {
  /** Lines of the next messages, in the order of time. */
  lines(messages: number): readonly string[]
}

const localPeople = 20_000
const remoteDomains = 50_000

/**
 * Three of ten messages go out, the rest comes in. Half of all strangers are seen once. Of a hundred copies five wait once, two fail
 * with a report to the sender, one is discarded and one is held.
 */
export function createTraffic(startAt: number, betweenMs: number): Traffic {
  const random = seeded(20_261_121)
  const pick = (count: number): number => Math.floor(random() * count)
  let at = startAt
  let number = 0

  const id = (madeAt: number): MessageId => {
    const tail = pick(36 ** 8)
      .toString(36)
      .padStart(8, '0')
    return `${madeAt.toString(36).padStart(9, '0')}m${tail}` as MessageId
  }
  const local = (): string => `person${pick(localPeople)}@example.org`
  const remoteDomain = (): string =>
    random() < 0.4 ? `big${pick(5)}.example` : `company${pick(remoteDomains)}.example`
  const remote = (): string =>
    random() < 0.5 ? `n${number}-${pick(1e6)}@${remoteDomain()}` : `office@${remoteDomain()}`
  const address = (): string => `${1 + pick(220)}.${pick(256)}.${pick(40)}.${pick(256)}`

  function message(): readonly JournalEntry[] {
    number += 1
    at += Math.ceil(betweenMs * (0.5 + random()))
    return random() < 0.3 ? outgoing() : incoming()
  }

  function incoming(): readonly JournalEntry[] {
    const own = id(at)
    const to = local()
    const from = remote()
    const tags = ['Filtered']
    const head = [
      {
        at,
        event: 'received',
        id: own,
        from,
        to: [to],
        sizeBytes: 2_000 + pick(60_000),
        listener: '0.0.0.0:25',
        address: address(),
        helo: `mx${pick(9)}.${from.split('@')[1] ?? ''}`,
        tls: 'TLSv1.3',
        messageId: `<${pick(1e9).toString(36)}.${number}@${from.split('@')[1] ?? ''}>`,
        tookMs: 1.2,
      },
      {
        at: at + 1,
        event: 'routed',
        id: own,
        to: [to],
        rcpt: [0],
        rule: '/etc/sluice/smtpd.conf:58',
        queue: 'filter',
        tags: [],
      },
      {
        at: at + 30,
        event: 'filtered',
        id: own,
        verdict: 'clean',
        score: 0.4,
        symbols: ['SPF_PASS -0.1', 'DKIM_VALID -0.1'],
        authentication: `spf=pass smtp.mailfrom=${from}; dkim=pass; dmarc=pass`,
      },
      { at: at + 31, event: 'passed', id: own, stage: 'filter', tag: 'Filtered', tookMs: 28.4 },
      {
        at: at + 31,
        event: 'routed',
        id: own,
        to: [to],
        rcpt: [0],
        rule: '/etc/sluice/smtpd.conf:44',
        queue: 'deliver',
        action: 'mailbox',
        tags,
      },
    ]
    const fate = random()
    if (fate < 0.01)
      return [
        ...head.slice(0, 3),
        {
          at: at + 32,
          event: 'held',
          id: own,
          rcpt: [0],
          stage: 'filter',
          reason: 'spam: score 12.4',
          quarantine: 'spam',
        },
      ]
    if (fate < 0.02)
      return [
        ...head.slice(0, 3),
        { at: at + 32, event: 'discarded', id: own, rcpt: [0], stage: 'filter', reason: 'virus: Eicar-Test-Signature' },
      ]
    const copy = {
      id: own,
      recipient: to,
      rcpt: 0,
      stage: 'deliver',
      remoteMta: '/run/dovecot/lmtp',
      action: 'mailbox',
    }
    if (fate < 0.03)
      return [
        ...head,
        { at: at + 60, event: 'failed', ...copy, reply: '552 5.2.2 Mailbox full', class: 'mailbox-full', ageMs: 60 },
        ...report(own, from, at + 61),
      ]
    return [
      ...head,
      {
        at: at + 60,
        event: 'delivered',
        ...copy,
        reply: `250 2.0.0 <${to}> ${pick(1e12).toString(36)} Saved`,
        ageMs: 60,
      },
    ]
  }

  function outgoing(): readonly JournalEntry[] {
    const own = id(at)
    const from = local()
    const to = remote()
    const domain = to.split('@')[1] ?? ''
    const head = [
      {
        at,
        event: 'received',
        id: own,
        from,
        to: [to],
        sizeBytes: 2_000 + pick(60_000),
        listener: '0.0.0.0:587',
        address: address(),
        helo: '[192.168.1.7]',
        user: from,
        tls: 'TLSv1.3',
        messageId: `<${pick(1e9).toString(36)}.${number}@example.org>`,
        tookMs: 1.2,
      },
      {
        at: at + 1,
        event: 'routed',
        id: own,
        to: [to],
        rcpt: [0],
        rule: '/etc/sluice/smtpd.conf:60',
        queue: 'sign',
        tags: [],
      },
      { at: at + 4, event: 'signed', id: own, domain: 'example.org', selector: 'mail', algorithm: 'rsa-sha256' },
      { at: at + 5, event: 'passed', id: own, stage: 'sign', tag: 'Signed', tookMs: 3.1 },
      {
        at: at + 5,
        event: 'routed',
        id: own,
        to: [to],
        rcpt: [0],
        rule: '/etc/sluice/smtpd.conf:46',
        queue: 'relay',
        action: 'remote',
        tags: ['Signed'],
      },
    ]
    const copy = {
      id: own,
      recipient: to,
      rcpt: 0,
      stage: 'relay',
      remoteMta: `mx${pick(4)}.${domain}`,
      tls: 'TLSv1.3 TLS_AES_256_GCM_SHA384',
      action: 'remote',
    }
    const fate = random()
    const delayed = {
      at: at + 700,
      event: 'delayed',
      ...copy,
      reply: '451 4.7.1 Greylisted, please try again',
      class: 'greylisted',
      ageMs: 700,
      nextAt: at + 400_000,
      attempts: 1,
    }
    if (fate < 0.02)
      return [
        ...head,
        {
          at: at + 800,
          event: 'failed',
          ...copy,
          reply: `550 5.1.1 <${to}>: Recipient address rejected: User unknown`,
          class: 'unknown-user',
          ageMs: 800,
        },
        ...report(own, from, at + 801),
      ]
    const relayed = {
      at: at + 900,
      event: 'relayed',
      ...copy,
      reply: `250 2.0.0 Ok: queued as ${pick(1e15).toString(36).toUpperCase()}`,
      ageMs: 900,
    }
    return fate < 0.17 ? [...head, delayed, relayed] : [...head, relayed]
  }

  function report(about: MessageId, to: string, madeAt: number): readonly JournalEntry[] {
    const own = id(madeAt)
    return [
      { at: madeAt, event: 'made', id: own, from: null, to: [to], sizeBytes: 4_200 },
      { at: madeAt, event: 'reported', id: own, about, to, action: 'failed' },
      {
        at: madeAt + 1,
        event: 'routed',
        id: own,
        to: [to],
        rcpt: [0],
        rule: '/etc/sluice/smtpd.conf:44',
        queue: 'relay',
        action: 'remote',
        tags: [],
      },
      {
        at: madeAt + 9,
        event: 'relayed',
        id: own,
        recipient: to,
        rcpt: 0,
        stage: 'relay',
        reply: '250 2.0.0 Ok',
        remoteMta: 'mx.example',
        action: 'remote',
        ageMs: 9,
      },
    ]
  }

  return {
    lines(messages) {
      const entries = Array.from({ length: messages }, message).flat()
      return entries.map((entry) => `${JSON.stringify(entry)}\n`)
    },
  }
}

/** Numbers from 0 to 1, the same for the same seed (mulberry32). */
function seeded(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d_2b_79_f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}
