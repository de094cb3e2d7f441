import assert from 'node:assert/strict'
import { readFile, readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'

import { atEnd } from '../support/at-end.ts'
import { standardConf, standardPipeline } from '../support/configurations.ts'
import { startMailSink } from '../support/mail-sink.ts'
import { MailSystem } from '../support/mail-system.ts'
import type { MailSystemOptions } from '../support/mail-system.ts'
import { bodyOf, bodySha256, idOf, testMessage } from '../support/messages.ts'
import { SmtpClient } from '../support/smtp-client.ts'
import { sendStorm } from '../support/storm.ts'
import { tempFolder } from '../support/temp-folder.ts'

const messages = 300

/** What `spool cat --json` prints, as far as it is looked at. */
interface Cat {
  readonly envelope: { readonly reversePath: string }
  readonly content: string
}

const [keyA, keyB] = ['a1'.repeat(32), 'b2'.repeat(32)]

test('a storm into an encrypted, compressed spool whose writers are killed and change their key: all arrives unaltered, nothing stands there in clear', async (t) => {
  const sink = await startMailSink({ protocol: 'lmtp', keep: 'digest' })
  atEnd(t, () => sink.stop())
  const folder = await tempFolder('at-rest')
  atEnd(t, () => folder.remove())
  const keyFile = join(folder.path, 'spool.key')
  await writeFile(keyFile, `${keyA}\n${keyB}\n`)
  const options: MailSystemOptions = {
    conf: standardConf({
      deliver: `lmtp "127.0.0.1:${sink.port}" rcpt-to userbase <people>`,
      more: 'smtp limit max-mails 100000\nqueue compression\nqueue encryption',
    }),
    pipeline: standardPipeline(`spool "{{data}}/spool" key file "${keyFile}"`),
    services: 'processes',
    processes: { signer: 0, relay: 0 },
    dataFolder: join(folder.path, 'data'),
  }
  const system = await MailSystem.start(options)
  let isStopped = false
  atEnd(t, async () => {
    if (!isStopped) await system.stop()
  })

  const storm = sendStorm({ port: system.port('smtp'), messages })
  for (const [share, service] of [
    [0.2, 'inbound'],
    [0.4, 'delivery'],
    [0.6, 'inbound'],
  ] as const) {
    await sink.waitForDistinct(messages * share, 120_000)
    await system.kill(service)
    await writeFile(keyFile, `${keyB}\n${keyA}\n`)
    await system.restart(service)
  }
  const { sent, uncertain } = await storm
  const expected = new Map(sent)
  const client = await SmtpClient.ready({ port: system.port('smtp') })
  for (const id of ['large-1', 'large-2']) {
    const body = bodyOf(id, 500_000)
    expected.set(id, bodySha256(body))
    const stored = idOf(
      await client.send({ from: 'a@remote.test', to: ['jane@sluice.test'], content: testMessage({ id, body }) }),
    )
    const { envelope, content } = (await system.ctlJson('spool', 'cat', stored)) as Cat
    assert.equal(envelope.reversePath, 'a@remote.test')
    assert.ok(content.includes(body.split('\n').at(-1) ?? ''))
  }
  await client.quit()
  await sink.waitForDistinct(expected.size, 120_000)

  assert.equal(sink.copies.size, expected.size)
  for (const message of sink.messages) assert.equal(message.bodySha256, expected.get(message.id), message.id)
  const excused = uncertain.size + 100
  assert.ok([...sink.copies.values()].filter((copies) => copies > 1).length <= excused)
  const inClear = /remote\.test|sluice\.test|X-Test-Id|Received:|storm-|large-/
  const octets = await filesBelow(join(options.dataFolder ?? '', 'spool'))
  assert.ok(octets.filter(({ file }) => file.endsWith('.msg')).length >= 3)
  assert.ok(octets.some(({ file }) => file.endsWith('.big')) && octets.some(({ file }) => file.endsWith('.out')))
  for (const { file, bytes } of octets) assert.doesNotMatch(bytes.toString('latin1'), inClear, file)

  await system.stop()
  isStopped = true
  await writeFile(keyFile, `${'c3'.repeat(32)}\n`)
  const refused = await MailSystem.refusal(options, ['inbound'])
  assert.equal(refused.exit.code, 78)
  assert.match(refused.text, /the spool is encrypted with the keys? [0-9a-f]{16}[^]*nothing is lost/)
})

async function filesBelow(path: string): Promise<readonly { readonly file: string; readonly bytes: Buffer }[]> {
  const entries = await readdir(path, { recursive: true, withFileTypes: true })
  const files = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name))
  return Promise.all(files.map(async (file) => ({ file, bytes: await readFile(file) })))
}
