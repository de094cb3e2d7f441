import assert from 'node:assert/strict'
import { readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'

import { atEnd } from '../support/at-end.ts'
import { standardConf, standardPipeline } from '../support/configurations.ts'
import { MailSystem } from '../support/mail-system.ts'
import { idOf, testMessage } from '../support/messages.ts'
import { SmtpClient } from '../support/smtp-client.ts'

interface Audited {
  readonly code: number
  readonly sums: Readonly<Record<string, number>>
  readonly missing: readonly { readonly id: string; readonly copies: readonly number[] }[]
}

test('mail whose file is deleted by hand is named by the audit and by the ledger, until it is written off', async (t) => {
  const system = await MailSystem.start({ conf: standardConf(), pipeline: standardPipeline() })
  atEnd(t, () => system.stop())
  const client = await SmtpClient.ready({ port: system.port('smtp') })
  atEnd(t, () => client.quit())
  const send = async (to: readonly string[]): Promise<string> =>
    idOf(await client.send({ from: 'bob@remote.test', to, content: testMessage({ id: to.join() }) }))
  // Losses are known from the first look of the ledger on.
  await system.waitForBalance()

  await send(['jane@sluice.test'])
  await system.maildir('jane').waitForMessages(1)
  await system.ctl('pause', 'deliver')
  const id = await send(['jane@sluice.test', 'joe@sluice.test'])
  await until(async () => (await audit(system)).sums['queued'] === 2)
  const before = await audit(system)
  assert.deepEqual([before.code, before.missing], [0, []])
  assert.deepEqual(sumsOf(before), { accepted: 3, delivered: 1, queued: 2 })

  await deleteSegments(join(system.dataFolder, 'spool'))
  const after = await audit(system)
  assert.deepEqual([after.code, after.missing], [1, [{ id, copies: [0, 1] }]])
  assert.deepEqual(sumsOf(after), { accepted: 3, delivered: 1, missing: 2 })
  await system.waitForEvent('missing', id)
  await until(async () => (await system.ctl('show', 'status', '--json')).stdout.includes(id))

  assert.equal((await system.ctl('write-off', id)).code, 0)
  await system.waitForBalance()
  assert.deepEqual(sumsOf(await audit(system)), { accepted: 3, delivered: 1, removed: 2 })
})

async function audit(system: MailSystem): Promise<Audited> {
  const { code, stdout } = await system.ctl('audit', '--json')
  return { code: code ?? -1, ...(JSON.parse(stdout) as Omit<Audited, 'code'>) }
}

/** Without those that are none. */
function sumsOf({ sums }: Audited): Readonly<Record<string, number>> {
  return Object.fromEntries(Object.entries(sums).filter(([, count]) => count !== 0))
}

async function deleteSegments(spool: string): Promise<void> {
  const names = await readdir(spool, { recursive: true })
  for (const name of names.filter((one) => one.endsWith('.msg'))) await rm(join(spool, name))
}

async function until(holds: () => Promise<boolean>): Promise<void> {
  const endsAt = Date.now() + 120_000
  while (!(await holds())) {
    assert.ok(Date.now() < endsAt, 'still not so after two minutes')
    await sleep(200)
  }
}
