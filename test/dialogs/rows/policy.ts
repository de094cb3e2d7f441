import { plain } from '../../support/smtp-client.ts'
import { fixturePath } from '../../../services/inbound/restrictions/testing.ts'
import type { DoorRow, Site } from './row.ts'
import { seedZone } from './seeds.ts'

const helloed = ['EHLO mail.ailleurs.example', '250']
const mail = ['MAIL FROM:<haddock@ailleurs.example>', '250 2.1.0']
const begun = [helloed, mail]
const again = ['RSET', '250 2.0.0']
const message = [
  ['DATA', '354 '],
  ['Subject: a test\r\n\r\nhello\r\n.', '250 2.0.0'],
]
const good = [`AUTH PLAIN ${plain('tintin', 'secret')}`, '235 2.7.0']
const s0 = { site: 's0', zone: seedZone } as const
const s2 = { site: 's2', client: '127.0.0.1' } as const

const base = [
  'table people { "tintin", "milou" }',
  'table logins { "tintin" = "$5$rounds=1000$testsalt$ostqQPLN6R9T.A/s7AkCrhncjxFX7jOkMWhCh1.OUm8" }',
  `pki mail cert "${fixturePath('../tls/server.pem')}"`,
  `pki mail key "${fixturePath('../tls/server.key')}"`,
  'listen on 127.0.0.1 port 25 tls pki mail auth-optional <logins>',
  'action "out" relay',
]

/** One domain, with these lines of smtpd.conf before the delivery and the rules, and these of pipeline.conf. */
function site(lines: readonly string[], pipeline: readonly string[] = [], options = ''): Site {
  return {
    smtpd: [
      ...base,
      ...lines,
      `action "deliver" maildir "/mail/%{user.username}" ${options}`,
      'match from any for domain "ici.example" action "deliver"',
      'match auth from any for any action "out"',
    ].join('\n'),
    pipeline: ['users from <people>', ...pipeline],
  }
}

/** Rows 55 to 81: recipients, rewriting, content, sizes, logins. */
export const policyRows: readonly DoorRow[] = [
  {
    ...s0,
    row: 55,
    what: 'mydestination: mail for us is taken, the rest goes by the rules of relaying',
    says: [...begun, ['RCPT TO:<milou@mondomaine.example>', '250 2.1.5'], ['RCPT TO:<a@loin.example>', '554 5.7.1']],
  },
  {
    site: site(['match from any for domain "secours.example" action "out"']),
    row: 56,
    what: 'relay_domains: a domain of others is taken from everybody',
    says: [
      ...begun,
      ['RCPT TO:<a@secours.example>', '250 2.1.5'],
      ['RCPT TO:<a@loin.example>', '550 5.7.1'],
      ...message,
    ],
    stored: [{ to: ['a@secours.example'] }],
  },
  {
    ...s0,
    row: 58,
    what: 'recipient_delimiter: a sub-address is its user',
    says: [...begun, ['RCPT TO:<tintin+bd@mondomaine.example>', '250 2.1.5'], ...message],
    stored: [{ to: ['tintin+bd@mondomaine.example'] }],
  },
  {
    ...s0,
    row: 58,
    what: 'a sub-address of nobody is nobody',
    says: [...begun, ['RCPT TO:<personne+bd@mondomaine.example>', '550 5.1.1']],
  },
  {
    ...s0,
    row: 59,
    what: 'message_size_limit at MAIL',
    ehlo: ['SIZE 31457280'],
    says: [
      ['MAIL FROM:<haddock@ailleurs.example> SIZE=31457281', '552 5.3.4'],
      ['MAIL FROM:<haddock@ailleurs.example> SIZE=31457280', '250 2.1.0'],
    ],
  },
  {
    site: site([], ['limit message 2K']),
    row: 59,
    what: 'message_size_limit at the end of a message whose size was not told',
    ehlo: ['SIZE 2048'],
    says: [
      ...begun,
      ['RCPT TO:<tintin@ici.example>', '250 2.1.5'],
      ['DATA', '354 '],
      [`Subject: a test\r\n\r\n${'x'.repeat(70).concat('\r\n').repeat(40)}.`, '552 5.3.4'],
    ],
  },
  {
    ...s0,
    row: 65,
    what: 'aliases: an alias leads to its user',
    says: [...begun, ['RCPT TO:<capitaine@mondomaine.example>', '250 2.1.5'], ...message],
    stored: [{ to: ['tintin@mondomaine.example'] }],
  },
  {
    site: site(
      [
        'table aliases { "equipe" = "tintin, milou", "rond" = "carre", "carre" = "rond", "moi" = "\\\\tintin", "rue" = "|/bin/true", "liste" = ":include:/nonexistent" }',
      ],
      [],
      'alias <aliases>',
    ),
    row: 65,
    what: 'aliases: lists, a loop, a command where none are run, a list that is not there',
    says: [
      ...begun,
      ['RCPT TO:<equipe@ici.example>', '250 2.1.5'],
      ['RCPT TO:<rond@ici.example>', '524 5.2.4'],
      ['RCPT TO:<rue@ici.example>', '451 4.3.5'],
      ['RCPT TO:<liste@ici.example>', '451 4.3.5'],
      ...message,
    ],
    stored: [{ to: ['tintin@ici.example', 'milou@ici.example'] }],
  },
  {
    ...s0,
    row: 66,
    what: 'virtual aliases: an address of a virtual domain, and none',
    says: [
      ...begun,
      ['RCPT TO:<contact@toto.example>', '250 2.1.5'],
      ['RCPT TO:<tintin@toto.example>', '550 5.1.1'],
      ...message,
    ],
    stored: [{ to: ['tintin@toto.example'] }],
  },
  {
    site: {
      smtpd: `${base.join('\n')}
table virtuals { "contact@titi.example" = "milou", "@titi.example" = "tintin" }
action "virtual" maildir "/mail/%{user.username}" virtual <virtuals>
match from any for domain "titi.example" action "virtual"`,
      pipeline: ['users from <people>'],
    },
    row: 66,
    what: 'virtual aliases: @domain catches what no line has',
    says: [
      ...begun,
      ['RCPT TO:<contact@titi.example>', '250 2.1.5'],
      ['RCPT TO:<personne@titi.example>', '250 2.1.5'],
      ...message,
    ],
    stored: [{ to: ['milou@titi.example', 'tintin@titi.example'] }],
  },
  {
    ...s2,
    row: 67,
    what: 'local_recipient_maps: users come from several lists in order',
    says: [
      ...begun,
      ['RCPT TO:<jules@ploplo.example>', '250 2.1.5'],
      ['RCPT TO:<davy@ploplo.example>', '250 2.1.5'],
      ['RCPT TO:<personne@ploplo.example>', '550 5.1.1'],
    ],
  },
  {
    ...s2,
    row: 68,
    what: 'canonical: the sender of the envelope and of the header is the other name',
    says: [
      helloed,
      ['MAIL FROM:<tintin@ploplo.example>', '250 2.1.0'],
      ['RCPT TO:<reporter@ploplo.example>', '250 2.1.5'],
      ['DATA', '354 '],
      ['From: "Tintin" <tintin@ploplo.example>\r\nTo: tintin@ploplo.example\r\n\r\nhello\r\n.', '250 2.0.0'],
    ],
    stored: [
      {
        from: 'Tintin.Reporter@ploplo.example',
        to: ['jules@ploplo.example'],
        has: [/^From: "Tintin" <Tintin\.Reporter@ploplo\.example>/m, /^To: tintin@ploplo\.example/m],
      },
    ],
  },
  {
    ...s2,
    row: 69,
    what: 'masquerade: hosts below the domain are hidden, but for the exceptions and in RCPT',
    says: [
      helloed,
      ['MAIL FROM:<milou@bd.ploplo.example>', '250 2.1.0'],
      ['RCPT TO:<jules@bd.ploplo.example>', '250 2.1.5'],
      ...message,
      ['MAIL FROM:<milou@info.ploplo.example>', '250 2.1.0'],
      ['RCPT TO:<jules@ploplo.example>', '250 2.1.5'],
      ...message,
      ['MAIL FROM:<root@bd.ploplo.example>', '250 2.1.0'],
      ['RCPT TO:<jules@ploplo.example>', '250 2.1.5'],
      ...message,
    ],
    stored: [
      { from: 'milou@ploplo.example', to: ['jules@bd.ploplo.example'] },
      { from: 'milou@info.ploplo.example' },
      { from: 'root@bd.ploplo.example' },
    ],
  },
  {
    ...s2,
    row: 70,
    what: 'relocated',
    says: [...begun, ['RCPT TO:<maurice@ploplo.example>', '550 5.1.6 User has moved to maurice@orange.example']],
  },
  {
    ...s0,
    row: 71,
    what: 'header_checks on submission: four fields and our own Received are gone',
    port: 465,
    tls: 'implicit',
    says: [
      helloed,
      good,
      ['MAIL FROM:<tintin@mondomaine.example>', '250 2.1.0'],
      ['RCPT TO:<a@loin.example>', '250 2.1.5'],
      ['DATA', '354 '],
      ['X-Originating-IP: [10.0.0.1]\r\nX-Mailer: x\r\nUser-Agent: y\r\nSubject: z\r\n\r\nhello\r\n.', '250 2.0.0'],
    ],
    stored: [
      {
        has: [/^Subject: z\r$/m, /^X-Sluice-Hops: 1\r$/m],
        lacks: [/^(?:Received|X-Originating-IP|X-Mailer|User-Agent):/im],
      },
    ],
  },
  {
    site: site(
      [],
      [
        'header match "^Subject: .*achat" reject "550 5.7.1 Non merci"',
        'header match "^Subject: (.*urgent.*)" replace "Subject: $1 [urgent]"',
        'header match "^X-Copie:" prepend "X-Vu: oui"',
      ],
    ),
    row: 71,
    what: 'header_checks: REJECT, REPLACE and PREPEND',
    says: [
      ...begun,
      ['RCPT TO:<tintin@ici.example>', '250 2.1.5'],
      ['DATA', '354 '],
      ['Subject: un achat\r\n\r\nhello\r\n.', '550 5.7.1 Non merci'],
      ...begun,
      ['RCPT TO:<tintin@ici.example>', '250 2.1.5'],
      ['DATA', '354 '],
      ["Subject: c'est urgent\r\nX-Copie: 1\r\n\r\nhello\r\n.", '250 2.0.0'],
    ],
    stored: [{ has: [/^Subject: c'est urgent \[urgent\]\r$/m, /^X-Vu: oui\r$/m] }],
  },
  {
    site: site(['table absents "tcp:127.0.0.1:1"'], [], 'alias <absents>'),
    row: 72,
    what: 'a table that cannot be read means later for the rules that need it, and port 25 is open',
    says: [...begun, ['RCPT TO:<tintin@ici.example>', '451 4.3.5'], ['RCPT TO:<a@loin.example>', '550 5.7.1']],
  },
  {
    ...s2,
    row: 77,
    what: 'EHLO offers the set of the seed, and ETRN runs the queue of a domain',
    ehlo: ['PIPELINING', 'SIZE', 'VRFY', 'ETRN', 'ENHANCEDSTATUSCODES', '8BITMIME', 'DSN'],
    says: [['ETRN ploplo.example', '250 2.0.0']],
  },
  {
    site: 's2',
    row: 77,
    what: 'ETRN is not for strangers, and a command may be unknown, out of place or without its argument',
    says: [
      helloed,
      ['ETRN ploplo.example', '459 4.7.1'],
      ['WIZ', '500 5.5.2'],
      ['MAIL', '501 5.5.4'],
      ['RCPT TO:<jules@ploplo.example>', '503 5.5.1'],
      ['DATA', '503 5.5.1'],
      ['NOOP', '250 2.0.0'],
      ['HELP', '214 2.0.0'],
      ['QUIT', '221 2.0.0'],
    ],
  },
  {
    ...s0,
    row: 78,
    what: 'RCPT and MAIL may be said again, each recipient has his copy, and a blind copy shows nowhere',
    says: [
      ...begun,
      ['RCPT TO:<tintin@mondomaine.example>', '250 2.1.5'],
      ['RCPT TO:<milou@mondomaine.example>', '250 2.1.5'],
      ['DATA', '354 '],
      ['To: tintin@mondomaine.example\r\nSubject: a test\r\n\r\nhello\r\n.', '250 2.0.0'],
      mail,
      again,
      mail,
      ['RCPT TO:<milou@mondomaine.example>', '250 2.1.5'],
      ...message,
    ],
    stored: [
      {
        to: ['tintin@mondomaine.example', 'milou@mondomaine.example'],
        has: [/^To: tintin@mondomaine\.example\r$/m],
        lacks: [/milou/],
      },
      { to: ['milou@mondomaine.example'] },
    ],
  },
  {
    site: site([]),
    row: 79,
    what: 'a login, bad and good, in two forms',
    tls: 'starttls',
    says: [
      helloed,
      [`AUTH PLAIN ${plain('tintin', 'wrong')}`, '535 5.7.8'],
      [`AUTH PLAIN ${plain('personne', 'secret')}`, '535 5.7.8'],
      ['AUTH LOGIN', '334 '],
      [Buffer.from('tintin').toString('base64'), '334 '],
      [Buffer.from('secret').toString('base64'), '235 2.7.0'],
      [`AUTH PLAIN ${plain('tintin', 'secret')}`, '503 5.5.1'],
    ],
  },
  {
    site: {
      smtpd: base.join('\n').replace(' <logins>', '').concat('\nmatch auth from any for any action "out"'),
      pipeline: ['login dovecot "/nonexistent/auth-client"'],
    },
    row: 79,
    what: 'while Dovecot is away a login means later',
    tls: 'starttls',
    says: [helloed, [`AUTH PLAIN ${plain('tintin', 'secret')}`, '454 4.7.0']],
  },
  {
    site: site([]),
    row: 80,
    what: 'nobody is anonymous, and old clients are not offered AUTH in their form',
    tls: 'starttls',
    ehlo: ['AUTH PLAIN LOGIN', '-AUTH=PLAIN', '-AUTH=LOGIN', '-AUTH=PLAIN LOGIN', '-AUTH ANONYMOUS'],
    says: [['AUTH ANONYMOUS dHJhY2U=', '504 5.5.4']],
  },
  {
    ...s0,
    row: 81,
    what: 'Received has who logged in, and how',
    tls: 'starttls',
    says: [
      helloed,
      good,
      ['MAIL FROM:<tintin@mondomaine.example>', '250 2.1.0'],
      ['RCPT TO:<a@loin.example>', '250 2.1.5'],
      ...message,
    ],
    stored: [{ has: [/\(Authenticated sender: tintin\)/, /\bwith ESMTPSA\b/] }],
  },
]
