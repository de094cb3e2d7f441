import assert from 'node:assert/strict'
import { test } from 'node:test'

import { atEnd } from '../support/at-end.ts'
import { standardConf, standardPipeline } from '../support/configurations.ts'
import { freePort } from '../support/free-port.ts'
import { MailSystem } from '../support/mail-system.ts'
import { idOf, testMessage } from '../support/messages.ts'
import { SmtpClient } from '../support/smtp-client.ts'

interface View {
  readonly engines: readonly {
    readonly name: string
    readonly health: string
    readonly answers: number
    readonly last: { readonly reason?: string }
  }[]
  readonly mix: readonly { readonly verdicts: Readonly<Record<string, number>> }[]
}

test('it is told of each filter whether it answers, and what became of mail', async (t) => {
  const nobody = await freePort()
  const system = await MailSystem.start({
    conf: standardConf(),
    pipeline: standardPipeline(`virus clamd 127.0.0.1:${nobody} on-failure proceed`),
  })
  atEnd(t, () => system.stop())
  const client = await SmtpClient.ready({ port: system.port('smtp') })
  atEnd(t, () => client.quit())
  const letter = { from: 'friend@remote.test', to: 'jane@sluice.test', id: 'counted' }
  const content = Buffer.from(testMessage(letter))
  const id = idOf(await client.send({ from: letter.from, to: [letter.to], content }))
  await system.waitForEvent('delivered', id)

  const view = async (): Promise<View> => JSON.parse((await system.ctl('show', 'filters', '--json')).stdout) as View
  let seen = await view()
  // Written down every five seconds.
  for (const endAt = Date.now() + 120_000; seen.engines.every(({ answers }) => answers === 0); seen = await view())
    assert.ok(Date.now() < endAt, 'nothing was counted')
  const health = new Map(seen.engines.map((one) => [one.name, one]))
  assert.equal(health.get('clamd')?.health, 'failing')
  assert.match(health.get('clamd')?.last.reason ?? '', /ECONNREFUSED/)
  assert.deepEqual([health.get('authentication')?.health, health.get('authentication')?.answers], ['good', 1])
  const cleaned = seen.mix.reduce((sum, { verdicts }) => sum + (verdicts['clean'] ?? 0), 0)
  assert.equal(cleaned, 1)
  const { code, stdout } = await system.ctl('show', 'filters')
  assert.equal(code, 1)
  assert.match(stdout, /^clamd +NO ANSWER +1 +1 /m)
  assert.match(stdout, /^mail: clean 1$/m)
  assert.equal((await system.ctl('show', 'filters', '--days', '61')).code, 2)
})
