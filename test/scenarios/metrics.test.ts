import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'

import { atEnd } from '../support/at-end.ts'
import { startMailSink } from '../support/mail-sink.ts'
import { MailSystem } from '../support/mail-system.ts'
import { idOf, testMessage } from '../support/messages.ts'
import { SmtpClient } from '../support/smtp-client.ts'

test('the dashboard tells what all processes count', async (t) => {
  const sink = await startMailSink({ protocol: 'lmtp' })
  atEnd(t, () => sink.stop())
  const system = await MailSystem.start({
    conf: `listen on 127.0.0.1 port {{smtp}}
action "scan" relay host "queue://filter"
action "in" lmtp "127.0.0.1:${sink.port}" rcpt-to
match tag Filtered from any for domain "sluice.test" action "in"
match from any for domain "sluice.test" action "scan"
`,
    pipeline: 'users from any\ndashboard listen "127.0.0.1:{{http}}"\n',
    services: 'processes',
    processes: { filter: 2, signer: 0, relay: 0 },
  })
  atEnd(t, () => system.stop())
  const client = await SmtpClient.ready({ port: system.port('smtp') })
  const from = 'bob@remote.test'
  const messages = 20
  for (let nth = 0; nth < messages; nth++) {
    const to = 'jane@sluice.test'
    idOf(await client.send({ from, to: [to], content: testMessage({ id: `m${nth}`, from, to }) }))
  }
  await client.quit()
  await sink.waitForDistinct(messages)

  const scrape = async (): Promise<string> => (await fetch(`http://127.0.0.1:${system.port('http')}/metrics`)).text()
  const sum = (text: string, event: string): number =>
    [...text.matchAll(new RegExp(`^sluice_events_total\\{event="${event}",process="[^"]+"\\} (\\d+)$`, 'gm'))].reduce(
      (total, [, count]) => total + Number(count),
      0,
    )
  const all = (found: string): boolean =>
    ['received', 'filtered', 'delivered'].every((event) => sum(found, event) === messages)
  // Each process tells every 5 s.
  const giveUpAt = Date.now() + 120_000
  let text = await scrape()
  while (!all(text) && Date.now() < giveUpAt) {
    await pause(500)
    text = await scrape()
  }
  assert.ok(all(text), text)
  assert.equal(text.match(/^# TYPE sluice_events_total counter$/gm)?.length, 1)
  assert.equal(new Set(text.match(/process="filter\.[^"]+"/g)).size, 2)
  assert.match(text, /^sluice_queue_messages\{queue="filter",state="waiting"\} 0$/m)
})
