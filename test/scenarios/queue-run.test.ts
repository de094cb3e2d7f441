import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'

import { passwords, standardConf, standardPipeline } from '../support/configurations.ts'
import { type MailSink, type SinkEvent, startMailSink } from '../support/mail-sink.ts'
import { MailSystem } from '../support/mail-system.ts'
import { idOf, testMessage } from '../support/messages.ts'
import { SmtpClient } from '../support/smtp-client.ts'

function busyAtFirst({ stage, count }: SinkEvent): string | undefined {
  return stage === 'rcpt' && count === 1 ? '450 4.2.1 Later' : undefined
}

/** Asks again until the answer fits, or 60 s are over. */
async function repeated<T>(ask: () => Promise<T>, fits: (answer: T) => boolean): Promise<T> {
  const endsAt = Date.now() + 60_000
  let answer = await ask()
  while (!fits(answer) && Date.now() < endsAt) answer = await ask()
  return answer
}

describe('queue runs', () => {
  let sink: MailSink
  let system: MailSystem

  before(async () => {
    sink = await startMailSink({ respond: busyAtFirst })
    system = await MailSystem.start({
      conf: standardConf({ remote: `relay host "smtp://127.0.0.1:${sink.port}"` }),
      pipeline: `${standardPipeline()}\netrn from 127.0.0.0/8\nfuture-release max 7d\n`,
    })
  })

  after(async () => {
    await system.stop()
    await sink.stop()
  })

  async function submit(id: string, to: string, parameters = ''): Promise<string> {
    const client = await SmtpClient.ready({
      port: system.port('submission'),
      starttls: true,
      user: 'jane',
      password: passwords.jane,
    })
    const from = 'jane@sluice.test'
    const reply = await client.send({ from, to: [to], content: testMessage({ id, from, to }), parameters })
    await client.quit()
    return idOf(reply)
  }

  async function etrn(domain: string): Promise<string> {
    const client = await SmtpClient.ready({ port: system.port('smtp') })
    const { raw } = await client.command(`ETRN ${domain}`)
    await client.quit()
    return raw
  }

  test('ETRN brings what waits for one destination, and leaves the others waiting', async () => {
    const wanted = await submit('wanted', 'ann@elsewhere.test')
    const other = await submit('other', 'ann@other.test')
    await system.waitForEvent('delayed', wanted)
    await system.waitForEvent('delayed', other)
    // The event comes before the job is back in its queue.
    const answer = await repeated(
      () => etrn('elsewhere.test'),
      (raw) => !raw.endsWith('messages: 0'),
    )
    assert.match(answer, /^250 2\.0\.0 .*messages: 1$/)
    await sink.waitForMessage((one) => one.id === 'wanted')
    assert.equal(sink.copies.get('other'), undefined)
  })

  test('what its sender keeps back waits in the first queue, until an operator wants it tried', async () => {
    const id = await submit('kept', 'bob@elsewhere.test', ' HOLDFOR=86400')
    const show = await repeated(
      () => system.ctl('show', 'message', id),
      ({ stdout }) => stdout.includes('delayed'),
    )
    assert.match(show.stdout, /in the queues\n +sign +delayed/)
    assert.match(await etrn('elsewhere.test'), /messages: 0$/)
    assert.equal(sink.copies.get('kept'), undefined)
    const { code } = await repeated(
      () => system.ctl('schedule', id),
      (finished) => finished.code === 0,
    )
    assert.equal(code, 0)
    await system.waitForEvent('delayed', id)
    assert.match(await etrn('elsewhere.test'), /^250/)
  })
})
