import assert from 'node:assert/strict'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'

import { dkimRecord } from '../../shared/dkim/dns-record.ts'
import { generateKey } from '../../shared/dkim/generate-key.ts'
import { verifyDkim } from '../support/dkim-verify.ts'
import { type MailSink, startMailSink } from '../support/mail-sink.ts'
import { MailSystem } from '../support/mail-system.ts'
import { testMessage } from '../support/messages.ts'
import { run } from '../support/process.ts'
import { SmtpClient } from '../support/smtp-client.ts'
import { type TempFolder, tempFolder } from '../support/temp-folder.ts'

const text = 'Grüße aus Köln, für alle, die das lesen können: 你好\r\n.\r\nmit Leerzeichen am Ende  \r\n'

/** What Python's email package makes of the body. */
const reader = `
import email, email.policy, sys
message = email.message_from_bytes(sys.stdin.buffer.read(), policy=email.policy.SMTP)
sys.stdout.buffer.write(message.get_payload(decode=True))
`

describe('a host without 8BITMIME', () => {
  let sink: MailSink
  let system: MailSystem
  let folder: TempFolder
  let pem: string

  before(async () => {
    sink = await startMailSink({ extensions: ['PIPELINING', 'SIZE 1000000'] })
    folder = await tempFolder('eight-bit')
    pem = await generateKey(join(folder.path, 'dkim.pem'), 'rsa')
    system = await MailSystem.start({
      conf: `listen on 127.0.0.1 port {{smtp}} hostname "mx.sluice.test"
listen on 127.0.0.1 port {{signed}} tag Signed hostname "mx.sluice.test"
action "out" relay host "smtp://127.0.0.1:${sink.port}"
action "sign" relay host "smtp://localhost:10026"
match tag Signed for any action "out"
match from local mail-from "@signed.test" for any action "sign"
match from local for any action "out"
`,
      pipeline: `dkim domain "signed.test" selector "main" key "${join(folder.path, 'dkim.pem')}"
dkim seven-bit on
queue "sign" answers "smtp://localhost:10026" tag from "127.0.0.1:{{signed}}"
`,
    })
  })

  after(async () => {
    await system.stop()
    await sink.stop()
    await folder.remove()
  })

  async function send(id: string, from: string): Promise<Buffer> {
    const client = await SmtpClient.ready({ port: system.port('smtp') })
    const [head = ''] = testMessage({ id, from, to: 'ann@far.test' }).split('\r\n\r\n')
    const mime = 'MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit'
    await client.send({ from, to: ['ann@far.test'], content: `${head}\r\n${mime}\r\n\r\n${text}` })
    await client.quit()
    const { content } = await sink.waitForMessage((one) => one.id === id)
    assert.ok(content.every((octet) => octet < 128))
    return content
  }

  test('gets mail in 7 bits that a reader shows as it was written', async () => {
    const content = await send('plain', 'joe@author.test')
    const { stdout } = await run('/usr/bin/python3', ['-c', reader], { input: content })
    assert.equal(stdout, text)
  })

  test('gets signed mail in 7 bits whose signature holds, when it was encoded before it was signed', async () => {
    const content = await send('signed', 'joe@signed.test')
    const { name, value } = dkimRecord(pem, 'main', 'signed.test')
    const { valid, detail } = await verifyDkim(content, { [name]: value })
    assert.ok(valid, detail)
    const { stdout } = await run('/usr/bin/python3', ['-c', reader], { input: content })
    assert.equal(stdout, text)
  })
})
