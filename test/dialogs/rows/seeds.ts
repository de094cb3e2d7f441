import type { Zone } from '../../../shared/restrictions/testing.ts'
import { plain } from '../../support/smtp-client.ts'
import type { Talk } from './row.ts'

/** What is said under a seed's restrictions. */
export interface SeedDialogue extends Talk {
  /** Postfix says something else here, and we know why. */
  readonly differs?: string
}

/** The DNS of both seeds' worlds. */
export const seedZone: Zone = {
  'mx ailleurs.example': ['mx.ailleurs.example'],
  'mx bloque.example': ['mx.bloque.example'],
  'mx loin.example': ['mx.loin.example'],
  'mx panne.example': 'fails',
  'a 99.113.0.203.zen.spamhaus.org': ['127.0.0.2'],
  'txt 99.113.0.203.zen.spamhaus.org': ['https://www.spamhaus.org/query/ip/203.0.113.99'],
  'a 98.113.0.203.zen.spamhaus.org': 'fails',
  'a 97.113.0.203.zen.spamhaus.org': ['127.255.255.254'],
}

const helo = 'EHLO mail.ailleurs.example'
const from = 'MAIL FROM:<haddock@ailleurs.example>'
const helloed = [helo, '250']
const mail = [from, '250 2.1.0']

const s0: Readonly<Record<string, SeedDialogue>> = {
  'EHLO offers what Postfix offers, and neither AUTH nor VRFY': {
    ehlo: [
      'PIPELINING',
      'SIZE 31457280',
      'ETRN',
      'STARTTLS',
      'ENHANCEDSTATUSCODES',
      '8BITMIME',
      'DSN',
      'SMTPUTF8',
      'CHUNKING',
      '-AUTH',
      '-VRFY',
    ],
    says: [],
  },
  'on 587, in TLS, the same without STARTTLS and with AUTH': {
    port: 587,
    tls: 'starttls',
    ehlo: ['PIPELINING', 'SIZE 31457280', 'ENHANCEDSTATUSCODES', '8BITMIME', 'DSN', 'AUTH PLAIN LOGIN', '-STARTTLS'],
    says: [],
  },
  'on 465 as well': {
    port: 465,
    tls: 'implicit',
    ehlo: ['PIPELINING', 'SIZE 31457280', 'ENHANCEDSTATUSCODES', '8BITMIME', 'DSN', 'AUTH PLAIN LOGIN', '-STARTTLS'],
    says: [],
  },
  'on 587 before TLS': {
    port: 587,
    says: [helloed, [`AUTH PLAIN ${plain('tintin', 'secret')}`, '530 5.7.0'], [from, '530 5.7.0']],
  },
  'on 587 without AUTH': {
    port: 587,
    tls: 'starttls',
    says: [helloed, mail, ['RCPT TO:<a@loin.example>', '554 5.7.1']],
  },
  'AUTH, bad and good': {
    port: 587,
    tls: 'starttls',
    says: [
      helloed,
      [`AUTH PLAIN ${plain('tintin', 'wrong')}`, '535 5.7.8'],
      [`AUTH PLAIN ${plain('tintin', 'secret')}`, '235 2.7.0'],
      mail,
      ['RCPT TO:<a@loin.example>', '250 2.1.5'],
    ],
  },
  'AUTH without TLS on 25': {
    says: [helloed, [`AUTH PLAIN ${plain('tintin', 'secret')}`, '503 5.5.1']],
  },
  'VRFY, and MAIL before HELO': {
    says: [
      ['VRFY tintin', '502 5.5.1'],
      [from, '503 5.5.1'],
    ],
  },
  'SIZE one over, and exact': {
    says: [helloed, [`${from} SIZE=31457281`, '552 5.3.4'], [`${from} SIZE=31457280`, '250 2.1.0']],
  },
  'what a submission must not tell is gone, our Received too': {
    port: 587,
    tls: 'starttls',
    says: [
      helloed,
      [`AUTH PLAIN ${plain('tintin', 'secret')}`, '235 2.7.0'],
      mail,
      ['RCPT TO:<a@loin.example>', '250 2.1.5'],
      ['DATA', '354 '],
      [
        'Received: from x by y with ESMTPSA id 1; Sat, 21 Nov 2026 03:22:05 +0000\r\nX-Originating-IP: [10.0.0.1]\r\nX-Mailer: x\r\nUser-Agent: y\r\nSubject: z\r\n\r\nhello\r\n.',
        '250 2.0.0',
      ],
    ],
    stored: [{ has: [/^Subject: z\r$/m], lacks: [/^(?:Received|X-Originating-IP|X-Mailer|User-Agent):/im] }],
  },
  'a client of mynetworks sends anywhere': {
    client: '192.168.1.7',
    says: [helloed, mail, ['RCPT TO:<a@loin.example>', '250 2.1.5']],
  },
  'a name that mynetworks may leave out is completed': {
    client: '192.168.1.7',
    says: [['HELO nodots', '250'], mail, ['RCPT TO:<tintin@mondomaine.example>', '250 2.1.5']],
  },
  'a user, an alias, a virtual address and a sub-address are taken': {
    says: [
      helloed,
      mail,
      ['RCPT TO:<tintin@mondomaine.example>', '250 2.1.5'],
      ['RCPT TO:<capitaine@mondomaine.example>', '250 2.1.5'],
      ['RCPT TO:<contact@toto.example>', '250 2.1.5'],
      ['RCPT TO:<tintin+liste@mondomaine.example>', '250 2.1.5'],
    ],
  },
  'users that are not there': {
    says: [
      helloed,
      mail,
      ['RCPT TO:<personne@mondomaine.example>', '550 5.1.1'],
      ['RCPT TO:<personne@toto.example>', '550 5.1.1'],
    ],
  },
  'a stranger may not relay, whether or not the domain is there': {
    says: [
      helloed,
      mail,
      ['RCPT TO:<a@loin.example>', '554 5.7.1 <a@loin.example>: Relay access denied'],
      ['RCPT TO:<a@nulle-part.example>', '554 5.7.1'],
    ],
  },
  'a recipient without a domain': {
    says: [helloed, mail, ['RCPT TO:<tintin>', '504 5.5.2']],
  },
  'postmaster needs no domain': {
    differs: 'Postfix takes mail for postmaster even when there is no such user',
    says: [helloed, mail, ['RCPT TO:<postmaster>', '550 5.1.1']],
  },
  'a name that is none': {
    says: [['HELO bad_name!', '250'], mail, ['RCPT TO:<tintin@mondomaine.example>', '501 5.5.2']],
  },
  'a name without a dot': {
    says: [['HELO nodots', '250'], mail, ['RCPT TO:<tintin@mondomaine.example>', '504 5.5.2']],
  },
  'a name that does not exist is not looked up by this seed': {
    says: [['HELO x.nulle-part.example', '250'], mail, ['RCPT TO:<tintin@mondomaine.example>', '250 2.1.5']],
  },
  'a sender without a domain': {
    says: [helloed, ['MAIL FROM:<tournesol>', '250 2.1.0'], ['RCPT TO:<tintin@mondomaine.example>', '504 5.5.2']],
  },
  'a sender whose domain does not exist': {
    says: [helloed, ['MAIL FROM:<a@nulle-part.example>', '250'], ['RCPT TO:<tintin@mondomaine.example>', '450 4.1.8']],
  },
  'a sender whose domain cannot be looked up is never refused for good': {
    says: [helloed, ['MAIL FROM:<a@panne.example>', '250'], ['RCPT TO:<tintin@mondomaine.example>', '450 4.1.8']],
  },
  'the null reverse-path': {
    says: [helloed, ['MAIL FROM:<>', '250'], ['RCPT TO:<tintin@mondomaine.example>', '250 2.1.5']],
  },
  'a sender in the table, with a text of its own': {
    says: [
      helloed,
      ['MAIL FROM:<rejet@ailleurs.example>', '250'],
      ['RCPT TO:<tintin@mondomaine.example>', '554 5.7.1 <rejet@ailleurs.example>: Sender address rejected: Pas de'],
    ],
  },
  'a sender in the table, with REJECT': {
    says: [
      helloed,
      ['MAIL FROM:<refus@ailleurs.example>', '250'],
      [
        'RCPT TO:<tintin@mondomaine.example>',
        '554 5.7.1 <refus@ailleurs.example>: Sender address rejected: Access denied',
      ],
    ],
  },
  'a domain in the table': {
    says: [helloed, ['MAIL FROM:<x@sub.bloque.example>', '250'], ['RCPT TO:<tintin@mondomaine.example>', '554 5.7.1']],
  },
  'a listed client is told why': {
    client: '203.0.113.99',
    says: [
      helloed,
      mail,
      [
        'RCPT TO:<tintin@mondomaine.example>',
        '554 5.7.1 Service unavailable; Client host [203.0.113.99] blocked using zen.spamhaus.org; https://www.spamhaus.org/query/ip/203.0.113.99',
      ],
    ],
  },
  'a list that fails refuses nobody': {
    client: '203.0.113.98',
    says: [helloed, mail, ['RCPT TO:<tintin@mondomaine.example>', '250 2.1.5']],
  },
  'a list that refuses to answer us refuses nobody': {
    differs: 'Postfix takes every answer of a list for yes',
    client: '203.0.113.97',
    says: [helloed, mail, ['RCPT TO:<tintin@mondomaine.example>', '250 2.1.5']],
  },
  'all in one packet under HELO': {
    says: [
      [
        'HELO mail.ailleurs.example\r\nMAIL FROM:<a@ailleurs.example>\r\nRCPT TO:<tintin@mondomaine.example>\r\nDATA',
        '250',
        '250 2.1.0',
        '250 2.1.5',
        '503 5.5.0',
      ],
    ],
  },
  'commands in one packet under EHLO': {
    says: [
      helloed,
      [
        'MAIL FROM:<a@ailleurs.example>\r\nRCPT TO:<tintin@mondomaine.example>\r\nDATA',
        '250 2.1.0',
        '250 2.1.5',
        '354 ',
      ],
    ],
  },
}

const s1: Readonly<Record<string, SeedDialogue>> = {
  'AUTH without TLS is taken where the seed takes it, and Received says who': {
    slept: [],
    says: [
      helloed,
      [`AUTH PLAIN ${plain('tintin', 'secret')}`, '235 2.7.0'],
      ['MAIL FROM:<tintin@example.com>', '250 2.1.0'],
      ['RCPT TO:<a@loin.example>', '250 2.1.5'],
      ['DATA', '354 '],
      ['Subject: z\r\n\r\nhello\r\n.', '250 2.0.0'],
    ],
    stored: [{ has: [/\(Authenticated sender: tintin\)/, /\bwith ESMTPA\b/] }],
  },
  'a stranger waits a second, once in a transaction': {
    says: [
      helloed,
      mail,
      ['RCPT TO:<tintin@example.com>', '250 2.1.5'],
      ['RCPT TO:<tintin+x@example.com>', '250 2.1.5'],
    ],
    slept: [1_000],
  },
  'a client of mynetworks does not': {
    client: '127.0.0.9',
    says: [helloed, mail, ['RCPT TO:<a@loin.example>', '250 2.1.5']],
  },
  'a forged local sender': {
    slept: [1_000],
    says: [helloed, ['MAIL FROM:<faux@example.com>', '250'], ['RCPT TO:<tintin@example.com>', '550 5.1.0']],
  },
  'a local sender that is there needs no DNS': {
    slept: [1_000],
    says: [helloed, ['MAIL FROM:<tintin@example.com>', '250'], ['RCPT TO:<tintin@example.com>', '250 2.1.5']],
  },
  'even a trusted client is told of domains and users that are not there': {
    client: '127.0.0.9',
    says: [
      helloed,
      mail,
      ['RCPT TO:<a@nulle-part.example>', '450 4.1.2'],
      ['RCPT TO:<personne@example.com>', '550 5.1.1'],
    ],
  },
  'all in one packet under HELO': {
    slept: [1_000],
    says: [
      [
        'HELO mail.ailleurs.example\r\nMAIL FROM:<a@ailleurs.example>\r\nRCPT TO:<tintin@example.com>\r\nDATA',
        '250',
        '250 2.1.0',
        '503 5.5.0',
        '554 5.5.1',
      ],
    ],
  },
}

const here = { client: '127.0.0.1' } as const

const s2: Readonly<Record<string, SeedDialogue>> = {
  'who has moved is named by address, or by user alone': {
    ...here,
    says: [
      helloed,
      mail,
      ['RCPT TO:<maurice@ploplo.example>', '550 5.1.6 '],
      ['RCPT TO:<maurice>', '550 5.1.6 '],
      ['RCPT TO:<jules@ploplo.example>', '250 2.1.5'],
      ['RCPT TO:<jules>', '250 2.1.5'],
    ],
  },
  'who is in one of the lists is taken, mailbox or not; others are unknown': {
    ...here,
    says: [
      helloed,
      mail,
      ['RCPT TO:<davy@ploplo.example>', '250 2.1.5'],
      ['RCPT TO:<roderick>', '250 2.1.5'],
      ['RCPT TO:<personne@ploplo.example>', '550 5.1.1'],
    ],
  },
  'a stranger may not relay': {
    says: [helloed, mail, ['RCPT TO:<a@loin.example>', '554 5.7.1'], ['RCPT TO:<jules@ploplo.example>', '250 2.1.5']],
  },
  'VRFY and ETRN are there': {
    ...here,
    ehlo: ['PIPELINING', 'SIZE', 'VRFY', 'ETRN', 'ENHANCEDSTATUSCODES', '8BITMIME', 'DSN'],
    says: [['VRFY jules', '252 2.0.0']],
  },
  'a sender, a recipient and a host below the domain are written anew': {
    ...here,
    says: [
      helloed,
      ['MAIL FROM:<tintin@ploplo.example>', '250 2.1.0'],
      ['RCPT TO:<reporter@ploplo.example>', '250 2.1.5'],
      ['DATA', '354 '],
      ['From: milou@bd.ploplo.example\r\n\r\nhello\r\n.', '250 2.0.0'],
      ['MAIL FROM:<milou@bd.ploplo.example>', '250 2.1.0'],
      ['RCPT TO:<jules@ploplo.example>', '250 2.1.5'],
      ['DATA', '354 '],
      ['From: root@bd.ploplo.example\r\n\r\nhello\r\n.', '250 2.0.0'],
    ],
    stored: [
      { from: 'Tintin.Reporter@ploplo.example', to: ['jules@ploplo.example'], has: [/^From: milou@ploplo\.example/m] },
      { from: 'milou@ploplo.example', has: [/^From: root@bd\.ploplo\.example/m] },
    ],
  },
}

/** By the name of the fixture; the replies are those of Postfix 3.7 with the seed's restrictions. */
export const seedDialogues = { s0, s1, s2 } as const
