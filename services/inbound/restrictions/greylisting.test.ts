import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { TestContext } from 'node:test'

import { plain } from '../../../test/support/smtp-client.ts'
import { QueueUnavailableError } from '../../../shared/queue/queues.ts'
import type { Greylist, GreylistAttempt } from '../../../shared/queue/greylist.ts'
import type { Zone } from '../../../shared/restrictions/testing.ts'
import { connectFrom, configurationOf, fixturePath, hold, startRestricted } from './testing.ts'

const smtpdConf = `
table logins { "tintin" = "$5$rounds=1000$testsalt$ostqQPLN6R9T.A/s7AkCrhncjxFX7jOkMWhCh1.OUm8" }
pki mail cert "${fixturePath('../tls/server.pem')}"
pki mail key "${fixturePath('../tls/server.key')}"
listen on 127.0.0.1 port 2525 tls pki mail auth-optional <logins>
action "deliver" maildir "/mail/%{user.username}"
match from any for domain "here.example" action "deliver"
`
const hello = ['EHLO mail.there.example', '250']
const mail = ['MAIL FROM:<bounce-17@there.example>', '250 2.1.0']
const here = 'RCPT TO:<Tintin@here.example>'
const taken = [here, '250 2.1.5']

async function start(
  t: TestContext,
  greylist: Greylist,
  pipelineConf = 'restrict rcpt defer greylist',
  zone: Zone = {},
) {
  const configuration = await configurationOf(smtpdConf, `users from any\n${pipelineConf}`)
  const inbound = await startRestricted(configuration, zone, { greylist })
  t.after(() => inbound.close())
  return async (address: string) => {
    const client = await connectFrom(address, { port: inbound.port })
    t.after(() => client.destroy())
    await client.reply()
    return client
  }
}

/** Each attempt waits for the next of `answers`. */
function recording(...answers: readonly (number | Error)[]): Greylist & { readonly attempts: GreylistAttempt[] } {
  const attempts: GreylistAttempt[] = []
  return {
    attempts,
    waitMs(attempt) {
      const answer = answers[attempts.length]
      attempts.push(attempt)
      return answer instanceof Error ? Promise.reject(answer) : Promise.resolve(answer ?? 0)
    },
  }
}

test('a stranger is told when to come back, and let in then', async (t) => {
  const greylist = recording(299_001, 0)
  const client = await (await start(t, greylist))('203.0.113.5')
  await hold(client, [
    hello,
    mail,
    [here, '450 4.7.1 <Tintin@here.example>: Greylisted, try again in 300 seconds'],
    taken,
  ])
  const attempt = { network: '4:cb0071/24', sender: 'bounce-#@there.example', recipient: 'tintin@here.example' }
  assert.deepEqual(greylist.attempts, [attempt, attempt])
})

test('neighbours count as one client, by as many bits as are written', async (t) => {
  const greylist = recording()
  const connect = await start(t, greylist, 'restrict rcpt defer greylist network 30 32')
  for (const address of ['203.0.113.5', '203.0.113.6', '203.0.113.9', '2001:db8::1', '2001:db8:ffff::2'])
    await hold(await connect(address), [hello, mail, taken])
  const [one, two, three, four, five] = greylist.attempts.map(({ network }) => network)
  assert.equal(one, two)
  assert.equal(four, five)
  assert.equal(new Set([one, three, four]).size, 3)
})

test('while Redis is away mail is let in', async (t) => {
  const client = await (await start(t, recording(new QueueUnavailableError('away'))))('203.0.113.5')
  await hold(client, [hello, mail, taken])
})

test('who has logged in does not wait, nor does this host, nor a client that the list permits before', async (t) => {
  const greylist = recording()
  const lists = 'restrict rcpt permit from 192.0.2.0/24\nrestrict rcpt defer greylist'
  const connect = await start(t, greylist, lists)
  const user = await connect('203.0.113.5')
  await hold(user, [hello])
  await user.startTls()
  await hold(user, [hello, [`AUTH PLAIN ${plain('tintin', 'secret')}`, '235'], mail, taken])
  for (const address of ['127.0.0.1', '192.0.2.7']) await hold(await connect(address), [hello, mail, taken])
  assert.deepEqual(greylist.attempts, [])
})

test('whom SPF proves need not come back, where the rule says so', async (t) => {
  const zone: Zone = {
    'txt there.example': ['v=spf1 ip4:203.0.113.5 -all'],
    'txt mail.there.example': ['v=spf1 a -all'],
    'a mail.there.example': ['203.0.113.5'],
    'txt broken.example': 'fails',
  }
  const always: Greylist = { waitMs: () => Promise.resolve(60_000) }
  const waits = [here, '450 4.7.1']
  const from = (sender: string) => [`MAIL FROM:<${sender}>`, '250 2.1.0']
  const again = ['RSET', '250']
  const spared = await start(t, always, 'restrict rcpt defer greylist except spf', zone)
  await hold(await spared('203.0.113.5'), [hello, mail, taken, again, from(''), taken])
  await hold(await spared('203.0.113.6'), [hello, mail, waits, again, from(''), waits])
  await hold(await spared('203.0.113.5'), [
    hello,
    from('a@unsaid.example'),
    waits,
    again,
    from('a@broken.example'),
    waits,
  ])
  await hold(await (await start(t, always, undefined, zone))('203.0.113.5'), [hello, mail, waits])
})
