import { plain } from '../../support/smtp-client.ts'
import { fixturePath } from '../../../services/inbound/restrictions/testing.ts'
import type { DoorRow, Site } from './row.ts'
import { seedZone } from './seeds.ts'

const helloed = ['EHLO mail.ailleurs.example', '250']
const mail = ['MAIL FROM:<haddock@ailleurs.example>', '250 2.1.0']
const own = ['MAIL FROM:<tintin@mondomaine.example>', '250 2.1.0']
const taken = ['RCPT TO:<tintin@mondomaine.example>', '250 2.1.5']
const far = 'RCPT TO:<a@loin.example>'
const good = [`AUTH PLAIN ${plain('tintin', 'secret')}`, '235 2.7.0']
const message = [
  ['DATA', '354 '],
  ['Subject: a test\r\n\r\nhello\r\n.', '250 2.0.0'],
]
const s0 = { site: 's0', zone: seedZone } as const

const pki = `pki exem.pl certificate "${fixturePath('../tls/server.pem')}"
pki exem.pl key "${fixturePath('../tls/server.key')}"`
const logins = `table logins { "tintin" = "$5$rounds=1000$testsalt$ostqQPLN6R9T.A/s7AkCrhncjxFX7jOkMWhCh1.OUm8" }`

/** A site of the fourth seed's grammar. */
function s3(...lines: readonly string[]): Site {
  const rules = [
    'accept from any for domain "exem.pl" deliver to maildir "/mail/%{user.username}"',
    'accept for any relay',
  ]
  return { smtpd: [logins, pki, ...lines, ...rules].join('\n'), pipeline: ['users from { tintin }'] }
}

const toExem = [helloed, mail, ['RCPT TO:<tintin@exem.pl>', '250 2.1.5']]

/** Rows 1 to 31: listeners, identity, TLS. */
export const listenerRows: readonly DoorRow[] = [
  { ...s0, row: 1, what: 'port 25 greets', greeting: '220 mx.sluice.test ', says: [helloed, mail, taken] },
  {
    ...s0,
    row: 2,
    what: 'port 587 says nothing about passwords before TLS, and takes nothing',
    port: 587,
    ehlo: ['STARTTLS', '-AUTH'],
    says: [
      ['MAIL FROM:<tintin@mondomaine.example>', '530 5.7.0'],
      [`AUTH PLAIN ${plain('tintin', 'secret')}`, '530 5.7.0'],
    ],
  },
  {
    ...s0,
    row: 3,
    what: 'port 465 is TLS from the first octet, with AUTH at once',
    port: 465,
    tls: 'implicit',
    ehlo: ['AUTH PLAIN LOGIN', '-STARTTLS'],
    says: [good, own, [far, '250 2.1.5']],
  },
  ...([587, 465] as const).map((port): DoorRow => ({
    ...s0,
    row: 4,
    what: `port ${port} is for those who have logged in, trusted network or not`,
    client: '192.168.1.7',
    port,
    tls: port === 465 ? 'implicit' : 'starttls',
    says: [helloed, own, [far, '554 5.7.1'], ['RSET', '250'], good, own, [far, '250 2.1.5']],
  })),
  {
    ...s0,
    row: 5,
    what: 'what is refused is told with its listener',
    says: [helloed, mail, [far, '554 5.7.1']],
    rejected: { listener: '127.0.0.1:0' },
  },
  {
    ...s0,
    row: 6,
    what: 'mail of port 587 has the tag of its listener',
    port: 587,
    tls: 'starttls',
    says: [helloed, good, own, [far, '250 2.1.5'], ...message],
    stored: [{ tags: ['Submission'] }],
  },
  { ...s0, row: 6, what: 'mail of port 25 has none', says: [helloed, mail, taken, ...message], stored: [{ tags: [] }] },
  { ...s0, row: 7, what: 'the banner of the operator', greeting: '220 mx.sluice.test ESMTP (Debian/GNU)', says: [] },
  {
    ...s0,
    row: 8,
    what: 'our name stands in EHLO and Received',
    says: [['EHLO mail.ailleurs.example', '250-mx.sluice.test '], mail, taken, ...message],
    stored: [{ has: [/^Received: from mail\.ailleurs\.example .*\r\n\tby mx\.sluice\.test with ESMTP\r\n\tid /] }],
  },
  {
    site: 's2',
    row: 8,
    what: 'a user of ours without a domain gets that of the site',
    client: '127.0.0.1',
    says: [helloed, ['MAIL FROM:<root>', '250 2.1.0'], ['RCPT TO:<jules>', '250 2.1.5'], ...message],
    stored: [{ from: 'root@ploplo.example', to: ['jules@ploplo.example'] }],
  },
  {
    site: 's2',
    row: 10,
    what: 'a domain without a dot is not completed',
    client: '127.0.0.1',
    says: [helloed, ['MAIL FROM:<a@host>', '250 2.1.0'], ['RCPT TO:<jules>', '250 2.1.5'], ...message],
    stored: [{ from: 'a@host' }],
  },
  {
    site: s3('listen on 127.0.0.1 port 25 tls pki exem.pl auth-optional <logins>'),
    row: 12,
    what: 'TLS and AUTH are offered and not forced',
    ehlo: ['STARTTLS', '-AUTH'],
    says: toExem,
  },
  {
    site: s3('listen on 127.0.0.1 port 25 tls pki exem.pl auth-optional <logins>'),
    row: 12,
    what: 'AUTH is offered after TLS',
    tls: 'starttls',
    ehlo: ['AUTH PLAIN LOGIN', '-STARTTLS'],
    says: [good, own, [far, '250 2.1.5']],
  },
  ...([465, 587] as const).flatMap((port): readonly DoorRow[] => [
    {
      site: s3(`listen on 127.0.0.1 port ${port} tls-require pki exem.pl auth <logins>`),
      row: 13,
      what: `port ${port} with tls-require demands STARTTLS first`,
      ehlo: ['STARTTLS', '-AUTH'],
      says: [['MAIL FROM:<tintin@exem.pl>', '530 5.7.0']],
    },
    {
      site: s3(`listen on 127.0.0.1 port ${port} tls-require pki exem.pl auth <logins>`),
      row: 13,
      what: `port ${port} with auth demands AUTH then`,
      tls: 'starttls',
      says: [helloed, ['MAIL FROM:<tintin@exem.pl>', '530 5.7.0'], good, own, [far, '250 2.1.5']],
    },
  ]),
  {
    site: s3('listen on 127.0.0.1 port 25 mask-source'),
    row: 14,
    what: 'mask-source tells nothing of the client',
    says: [...toExem, ...message],
    stored: [{ has: [/^Received: by mx\.sluice\.test /], lacks: [/203\.0\.113\.5/, /^Received: from/] }],
  },
  {
    site: s3('listen on 127.0.0.1 port 25 hostname exem.pl'),
    row: 16,
    what: 'hostname of a listener: greeting, EHLO and Received',
    greeting: '220 exem.pl ',
    says: [['EHLO mail.ailleurs.example', '250-exem.pl '], ...toExem.slice(1), ...message],
    stored: [{ has: [/\r\n\tby exem\.pl with /] }],
  },
  { ...s0, row: 20, what: 'in clear', ehlo: ['STARTTLS'], says: [mail, taken] },
  { ...s0, row: 20, what: 'with STARTTLS', tls: 'starttls', ehlo: ['-STARTTLS'], says: [mail, taken] },
  {
    ...s0,
    row: 22,
    what: 'port 25 takes no password before TLS',
    ehlo: ['-AUTH'],
    says: [[`AUTH PLAIN ${plain('tintin', 'secret')}`, '503 5.5.1']],
  },
  {
    site: 's1',
    zone: seedZone,
    row: 22,
    what: 'unless it is written that it does',
    ehlo: ['AUTH PLAIN LOGIN', 'STARTTLS'],
    says: [good],
    slept: [],
  },
  {
    ...s0,
    row: 23,
    what: 'Received has version and cipher',
    tls: 'starttls',
    says: [helloed, mail, taken, ...message],
    stored: [{ has: [/with ESMTPS \(TLSv1\.3 TLS_AES_\w+\)/] }],
  },
  { ...s0, row: 31, what: 'VRFY off', ehlo: ['-VRFY', '-EXPN'], says: [['VRFY tintin', '502 5.5.1']] },
  {
    site: 's2',
    row: 31,
    what: 'VRFY on',
    ehlo: ['VRFY'],
    says: [
      ['VRFY jules', '252 2.0.0'],
      ['VRFY x', '252 2.0.0'],
    ],
  },
  {
    site: {
      smtpd: `table aliases { "staff" = "jules, root", "jules" = "jules" }
listen on 127.0.0.1 port 25
action "deliver" maildir "/mail/%{user.username}" alias <aliases>
match from any for domain "ploplo.example" action "deliver"`,
      pipeline: ['users from { jules, root }', 'append-domain "ploplo.example"', 'expn from { 203.0.113.0/24 }'],
    },
    row: 31,
    what: 'EXPN, where it is on, tells whom an alias leads to',
    ehlo: ['EXPN'],
    says: [
      ['EXPN staff', '250-2.1.5 <jules@ploplo.example>\n250 2.1.5 <root@ploplo.example>'],
      ['EXPN jules', '550 5.1.1'],
      ['EXPN personne', '550 5.1.1'],
      ['EXPN staff@ailleurs.example', '550 5.1.1'],
    ],
  },
]
