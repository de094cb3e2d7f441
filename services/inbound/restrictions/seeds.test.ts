import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { TestContext } from 'node:test'

import { plain } from '../../../test/support/smtp-client.ts'
import { connectFrom, fixtureConfiguration, hold, startRestricted } from './testing.ts'
import type { Dialogue } from './testing.ts'

const zone = {
  'mx ailleurs.example': ['mx.ailleurs.example'],
  'mx bloque.example': ['mx.bloque.example'],
  'mx loin.example': ['mx.loin.example'],
  'mx panne.example': 'fails',
  'a 99.113.0.203.zen.spamhaus.org': ['127.0.0.2'],
  'txt 99.113.0.203.zen.spamhaus.org': ['https://www.spamhaus.org/query/ip/203.0.113.99'],
  'a 98.113.0.203.zen.spamhaus.org': 'fails',
  'a 97.113.0.203.zen.spamhaus.org': ['127.255.255.254'],
} as const
const outside = '203.0.113.5'
const helo = 'EHLO mail.ailleurs.example'
const from = 'MAIL FROM:<haddock@ailleurs.example>'
const helloed = [helo, '250']
const mail = [from, '250 2.1.0']

/** As measured on Postfix 3.7 with this seed's restrictions. */
const s0: Readonly<Record<string, { readonly client?: string; readonly says: Dialogue }>> = {
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
  'a recipient without a domain, but for postmaster': {
    says: [helloed, mail, ['RCPT TO:<tintin>', '504 5.5.2'], ['RCPT TO:<postmaster>', '5']],
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

const s1: Readonly<Record<string, { readonly client?: string; readonly says: Dialogue; readonly slept?: number }>> = {
  'a stranger waits a second, once in a transaction': {
    says: [
      helloed,
      mail,
      ['RCPT TO:<tintin@example.com>', '250 2.1.5'],
      ['RCPT TO:<tintin+x@example.com>', '250 2.1.5'],
    ],
    slept: 1,
  },
  'a client of mynetworks does not': {
    client: '127.0.0.9',
    says: [helloed, mail, ['RCPT TO:<a@loin.example>', '250 2.1.5']],
    slept: 0,
  },
  'a forged local sender': {
    says: [helloed, ['MAIL FROM:<faux@example.com>', '250'], ['RCPT TO:<tintin@example.com>', '550 5.1.0']],
  },
  'a local sender that is there needs no DNS': {
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

for (const [seed, dialogues] of Object.entries({ s0, s1 })) {
  for (const [what, { client: address = outside, says, slept }] of Object.entries<(typeof s1)[string]>(dialogues)) {
    test(`${seed}: ${what}`, async (t) => {
      const inbound = await start(t, seed)
      const client = await connectFrom(address, { port: inbound.port })
      t.after(() => client.destroy())
      assert.equal((await client.reply()).code, 220)
      await hold(client, says)
      if (slept !== undefined) assert.equal(inbound.slept.length, slept)
    })
  }
}

test('s0: submission is for those who have logged in', async (t) => {
  const inbound = await start(t, 's0')
  const port = inbound.addresses[1]?.port ?? 0
  const client = await connectFrom('192.168.1.7', { port })
  t.after(() => client.destroy())
  await client.reply()
  await hold(client, [helloed, [from, '530 5.7.0']])
  await client.startTls()
  await hold(client, [helloed, mail, ['RCPT TO:<a@loin.example>', '554 5.7.1'], ['RSET', '250']])
  await hold(client, [
    [`AUTH PLAIN ${plain('tintin', 'wrong')}`, '535 5.7.8'],
    [`AUTH PLAIN ${plain('tintin', 'secret')}`, '235 2.7.0'],
    mail,
    ['RCPT TO:<a@loin.example>', '250 2.1.5'],
  ])
})

async function start(t: TestContext, seed: string) {
  const inbound = await startRestricted(await fixtureConfiguration(seed), zone)
  t.after(() => inbound.close())
  return inbound
}
