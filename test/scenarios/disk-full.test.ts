import assert from 'node:assert/strict'
import { rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'

import { atEnd } from '../support/at-end.ts'
import { standardConf, standardPipeline } from '../support/configurations.ts'
import { Maildir } from '../support/maildir.ts'
import { MailSystem } from '../support/mail-system.ts'
import { bodyOf, idOf, testMessage } from '../support/messages.ts'
import { run } from '../support/process.ts'
import { startRedis } from '../support/redis.ts'
import { missingPeers } from '../support/peer.ts'
import { type ClientReply, SmtpClient } from '../support/smtp-client.ts'
import { tempFolder } from '../support/temp-folder.ts'

test(
  'a full disk is 452 for the sender, and nothing that was accepted is lost',
  {
    skip: missingPeers('redis-server', 'mount'),
  },
  async (t) => {
    const disk = await tempFolder('disk')
    const mounted = await run('mount', ['-t', 'tmpfs', '-o', 'size=24m,mode=755', 'none', disk.path])
    if (mounted.code !== 0) {
      t.skip(`cannot mount a small disk: ${mounted.stderr.trim()}`)
      return
    }
    const redis = await startRedis()
    atEnd(t, async () => {
      await redis.close()
      await run('umount', [disk.path])
      await disk.remove()
    })
    // The mailbox is on another disk: only the spool is short of room.
    const mail = await tempFolder('mail')
    atEnd(t, () => mail.remove())
    const system = await MailSystem.start({
      conf: standardConf({ deliver: `maildir "${mail.path}/%{user.username}" userbase <people>` }),
      pipeline: standardPipeline(),
      dataFolder: disk.path,
      redisUrl: redis.url,
    })
    atEnd(t, () => system.stop())
    const send = async (id: string) => {
      const client = await SmtpClient.ready({ port: system.port('smtp') })
      const body = bodyOf(id, 200_000)
      const reply = await client.send({
        from: 'a@remote.test',
        to: ['jane@sluice.test'],
        content: testMessage({ id, body }),
      })
      await client.quit().catch(() => undefined)
      return reply
    }
    idOf(await send('before'))

    const ballast = join(disk.path, 'ballast')
    await writeFile(ballast, Buffer.alloc(64 * 1024 * 1024)).catch((error: NodeJS.ErrnoException) => {
      assert.equal(error.code, 'ENOSPC')
    })
    const refused = await send('during')
    assert.match(refused.raw, /^452 4\.3\.1/)

    await rm(ballast)
    idOf(await untilTaken(() => send('after')))
    const mails = await new Maildir(join(mail.path, 'jane')).waitForMessages(2)
    assert.deepEqual(new Set(mails.map((one) => one.field('X-Test-Id'))), new Set(['after', 'before']))
  },
)

/** Free space is looked at once a second, and a client comes back anyway. */
async function untilTaken(send: () => Promise<ClientReply>): Promise<ClientReply> {
  const deadlineAt = Date.now() + 20_000
  for (;;) {
    const reply = await send()
    if (reply.code !== 452 || Date.now() > deadlineAt) return reply
    await pause(200)
  }
}
