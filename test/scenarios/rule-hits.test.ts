import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'

import { atEnd } from '../support/at-end.ts'
import { startMailSink } from '../support/mail-sink.ts'
import { MailSystem } from '../support/mail-system.ts'
import { testMessage } from '../support/messages.ts'
import { SmtpClient } from '../support/smtp-client.ts'

interface Counted {
  readonly at: string
  readonly text: string
  readonly hits?: { readonly today: number; readonly lastAt?: number }
}

test('each rule and restriction tells how often it decided, also when a reload has moved its line', async (t) => {
  const sink = await startMailSink({ protocol: 'lmtp' })
  atEnd(t, () => sink.stop())
  const conf = `table aliases { "friends@list.test" = "jane@sluice.test, joe@sluice.test" }
listen on 127.0.0.1 port {{smtp}}
action "scan" relay host "queue://filter"
action "in" lmtp "127.0.0.1:${sink.port}" rcpt-to
action "list" lmtp "127.0.0.1:${sink.port}" rcpt-to virtual <aliases>
match from any for rcpt-to "spamtrap@sluice.test" reject
match from any for domain "list.test" action "list"
match tag Filtered from any for domain "sluice.test" action "in"
match from any for domain "sluice.test" action "scan"
match from any for domain "never.test" reject
`
  const system = await MailSystem.start({
    conf,
    pipeline: `users from any
queue "filter" tag Filtered
restrict rcpt reject "550 5.7.1 not you" when sender "evil@remote.test"
`,
  })
  atEnd(t, () => system.stop())

  async function send(from: string, to: string): Promise<void> {
    const client = await SmtpClient.ready({ port: system.port('smtp') })
    await client.send({ from, to: [to], content: testMessage({ id: to, from, to }) }).catch(() => undefined)
    await client.quit()
  }
  await send('bob@remote.test', 'jane@sluice.test')
  await send('bob@remote.test', 'friends@list.test')
  await send('bob@remote.test', 'spamtrap@sluice.test')
  await send('evil@remote.test', 'jane@sluice.test')
  await sink.waitForDistinct(2)

  const rules = async (): Promise<readonly Counted[]> =>
    ((await system.ctlJson('show', 'rules')) as { readonly rules: readonly Counted[] }).rules
  const numbers = (counted: readonly Counted[]): readonly string[] =>
    counted.map(({ at, hits }) => `${at} ${hits === undefined ? '-' : hits.today}`)
  const wanted = [
    'smtpd.conf:6 1',
    'smtpd.conf:7 1',
    'smtpd.conf:8 3',
    'smtpd.conf:9 3',
    'smtpd.conf:10 0',
    'pipeline.conf:3 1',
  ]
  let seen = await rules()
  for (const giveUpAt = Date.now() + 120_000; String(numbers(seen)) !== String(wanted) && Date.now() < giveUpAt;) {
    // Each process writes every 5 s.
    await pause(500)
    seen = await rules()
  }
  assert.deepEqual(numbers(seen), wanted)
  assert.equal((await system.ctl('show', 'rules', '--never')).stdout.includes('never.test'), true)
  const page = await (await fetch(`http://127.0.0.1:${system.port('http')}/rules`)).text()
  assert.match(page, /never since 20/)

  await system.configure('smtpd.conf', `# moved\n# by two\n${conf}`)
  await system.ctl('reload')
  assert.deepEqual(numbers(await rules()).slice(0, 3), ['smtpd.conf:8 1', 'smtpd.conf:9 1', 'smtpd.conf:10 3'])
})
