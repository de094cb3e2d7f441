import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { TestContext } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'

import { atEnd } from '../support/at-end.ts'
import { standardConf, standardPipeline } from '../support/configurations.ts'
import { databaseCa } from '../support/databases.ts'
import { eventDatabaseOf } from '../support/event-database.ts'
import { MailSystem } from '../support/mail-system.ts'
import { idOf, testMessage } from '../support/messages.ts'
import { missingPeers } from '../support/peer.ts'
import { SmtpClient } from '../support/smtp-client.ts'

interface Found {
  readonly messages: readonly { readonly id: string; readonly host: string }[]
}

test(
  'two hosts with one PostgreSQL: each finds and tells the mail of both, audits its own, and takes mail while the database is away',
  { skip: missingPeers('pg_ctl') },
  async (t) => {
    const { server } = await eventDatabaseOf(t)
    const pipeline = `events keep 30d store postgresql "postgres://mail@localhost:${server.port}/mail" password file "{{folder}}/db.password" tls ca "${databaseCa}"`
    const [one, other] = await Promise.all([host(t, 'mx1.sluice.test', pipeline), host(t, 'mx2.sluice.test', pipeline)])
    await Promise.all([one.waitForBalance(), other.waitForBalance()])

    const mine = await send(one, 'jane@sluice.test')
    const theirs = await send(other, 'joe@sluice.test')
    for (const system of [one, other]) {
      await until(async () => (await find(system, 'status:delivered')).messages.length === 2)
      const { messages } = await find(system, 'status:delivered from:bob@remote.test')
      assert.deepEqual(
        messages.map(({ id, host: name }) => [id, name]),
        [
          [theirs, 'mx2.sluice.test'],
          [mine, 'mx1.sluice.test'],
        ],
      )
      await system.waitForBalance()
      const { sums } = (await system.ctlJson('audit')) as { readonly sums: Readonly<Record<string, number>> }
      assert.deepEqual([sums['accepted'], sums['delivered'], sums['missing']], [1, 1, 0])
    }
    const traced = await one.ctl('trace', theirs)
    assert.match(traced.stdout, /received from bob@remote.test for joe@sluice.test/)
    assert.match(traced.stdout, /delivered/)
    assert.match(await page(one, '/messages?q=to:joe@sluice.test'), new RegExp(`mx2\\.sluice\\.test[^]*${theirs}`))
    assert.match(await page(one, `/messages/${theirs}`), /joe@sluice\.test[^]*delivered/)
    const api = (await (await ask(one, `/api/v1/messages?query=to:joe@sluice.test`)).json()) as Found
    assert.deepEqual(
      api.messages.map(({ id, host: name }) => [id, name]),
      [[theirs, 'mx2.sluice.test']],
    )

    await server.halt()
    const meanwhile = await send(one, 'joe@sluice.test')
    await one.maildir('joe').waitForMessages(1)
    const away = new RegExp(`PostgreSQL localhost:${server.port}/mail: `)
    const refused = await one.ctl('find', '')
    assert.equal(refused.code, 1)
    assert.match(refused.stderr, away)
    assert.equal((await ask(one, '/api/v1/messages')).status, 503)
    assert.match(await page(one, '/messages'), away)
    assert.match((await one.ctl('trace', meanwhile)).stdout, /received from bob@remote.test/)
    assert.match((await one.ctl('trace', theirs)).stderr, away)
    await until(async () => away.test((await one.ctl('show', 'status', '--json')).stdout))
    assert.match(await page(one, '/system'), away)

    await server.start()
    await until(async () => (await find(other, `id:${meanwhile} status:delivered`)).messages.length === 1)
    await until(async () => !away.test((await one.ctl('show', 'status', '--json')).stdout))
    await one.waitForBalance()
  },
)

async function host(t: TestContext, name: string, pipeline: string): Promise<MailSystem> {
  const system = await MailSystem.start({
    conf: standardConf(),
    pipeline: standardPipeline(pipeline),
    files: { 'db.password': 'secret\n' },
    env: { SMTPD_HOSTNAME: name },
  })
  atEnd(t, () => system.stop())
  return system
}

async function send(system: MailSystem, to: string): Promise<string> {
  const client = await SmtpClient.ready({ port: system.port('smtp') })
  try {
    return idOf(await client.send({ from: 'bob@remote.test', to: [to], content: testMessage({ id: to }) }))
  } finally {
    await client.quit()
  }
}

async function find(system: MailSystem, query: string): Promise<Found> {
  const { stdout, code } = await system.ctl('find', query, '--json')
  return code === 0 ? (JSON.parse(stdout) as Found) : { messages: [] }
}

function ask(system: MailSystem, path: string): Promise<Response> {
  return fetch(`http://127.0.0.1:${system.port('http')}${path}`)
}

async function page(system: MailSystem, path: string): Promise<string> {
  return (await ask(system, path)).text()
}

async function until(holds: () => Promise<boolean>): Promise<void> {
  const endsAt = Date.now() + 120_000
  while (!(await holds())) {
    assert.ok(Date.now() < endsAt, 'still not so after two minutes')
    await sleep(200)
  }
}
