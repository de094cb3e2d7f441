import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'
import { gzipSync } from 'node:zlib'

import { dmarcXml, feedbackMail, tlsJson } from '../../services/reports/testing.ts'
import { zipOf } from '../support/archives.ts'
import { standardConf, standardPipeline } from '../support/configurations.ts'
import { type DnsServer, startDns } from '../support/dns.ts'
import { MailSystem } from '../support/mail-system.ts'
import { testMessage } from '../support/messages.ts'
import { missingPeers } from '../support/peer.ts'
import { SmtpClient } from '../support/smtp-client.ts'
import { swaks } from '../support/swaks.ts'

const address = 'postmaster@sluice.test'

/** Mail for the address comes from the filter, is read, and is delivered; without a readable report it goes elsewhere. */
const rules = `action "look" maildir "{{data}}/mail/unparsed" userbase <people>
action "keep" maildir "{{data}}/mail/%{user.username}" userbase <people>
action "reports" relay host "queue://reports"
match tag Unparsed from any for rcpt-to "${address}" action "look"
match tag Reports from any for rcpt-to "${address}" action "keep"
match tag Filtered from any for rcpt-to "${address}" action "reports"
`

interface DmarcAnswer {
  readonly domains: readonly {
    readonly domain: string
    readonly messages: number
    readonly passed: number
    readonly doubtful: number
    readonly sources: readonly { readonly ip: string; readonly advice: string }[]
  }[]
  readonly recent: readonly { readonly org: string; readonly mailDomain?: string; readonly dmarc?: string }[]
}

interface TlsAnswer {
  readonly domains: readonly { readonly domain: string; readonly successful: number; readonly failed: number }[]
}

interface TrafficAnswer {
  readonly senders: readonly { readonly sender: string; readonly messages: number }[]
}

describe('reports on us', { skip: missingPeers('swaks') }, () => {
  let dns: DnsServer
  let system: MailSystem

  before(async () => {
    dns = await startDns({
      'receiver.test': { TXT: ['v=spf1 ip4:127.0.0.1 -all'], A: ['127.0.0.1'] },
      '_dmarc.receiver.test': { TXT: ['v=DMARC1; p=reject'] },
      'forged.test': { TXT: ['v=spf1 -all'], A: ['127.0.0.1'] },
      '_dmarc.forged.test': { TXT: ['v=DMARC1; p=none'] },
    })
    system = await MailSystem.start({
      conf: standardConf({ more: rules }),
      pipeline: standardPipeline(`queue "reports" tag Reports\nresolver "${dns.address}"\nspam discard 1000`),
    })
  })
  after(async () => {
    await system.stop()
    await dns.stop()
  })

  async function send(file: string, octets: Buffer, type: string, from = 'noreply@receiver.test'): Promise<void> {
    const path = join(system.dataFolder, file)
    await writeFile(path, octets)
    const server = ['--server', '127.0.0.1', '--port', String(system.port('smtp')), '--helo', 'receiver.test']
    const message = ['--from', from, '--to', address, '--h-From', from, '--h-Subject', `Report ${file}`]
    const finished = await swaks([
      ...server,
      ...message,
      '--attach-type',
      type,
      '--attach-name',
      file,
      '--attach',
      `@${path}`,
    ])
    assert.equal(finished.code, 0, finished.stdout)
  }

  async function api<Answer>(path: string): Promise<Answer> {
    const reply = await fetch(`http://127.0.0.1:${system.port('http')}/api/v1/reports/${path}`)
    assert.equal(reply.status, 200)
    return (await reply.json()) as Answer
  }

  test('sent by swaks they are in the API, on the page and in sluicectl, and their mail in the mailbox', async () => {
    const nowAt = Math.trunc(Date.now() / 1000)
    const times = { begin: String(nowAt - 86_400), end: String(nowAt) }
    await send(
      'receiver.test!sluice.test!1!2.xml.gz',
      gzipSync(dmarcXml({ ...times, domain: 'sluice.test' })),
      'application/gzip',
    )
    const other = dmarcXml({ ...times, domain: 'sluice.test', reportId: '5', org: 'Other' })
    await send('other.zip', zipOf([{ name: 'r.xml', octets: Buffer.from(other) }]), 'application/x-zip-compressed')
    await send('report.json.gz', gzipSync(tlsJson()), 'application/tlsrpt+gzip')
    const mails = await system.maildir('postmaster').waitForMessages(3)
    assert.deepEqual(
      mails.map((mail) => mail.field('Subject')?.split(' ')[0]),
      ['Report', 'Report', 'Report'],
    )

    const dmarc = await api<DmarcAnswer>('dmarc?days=7')
    assert.deepEqual(
      dmarc.domains.map(({ domain, messages, passed, sources }) => [domain, messages, passed, sources[0]?.ip]),
      [['sluice.test', 24, 24, '192.0.2.1']],
    )
    assert.deepEqual(
      dmarc.recent.map(({ mailDomain, dmarc: result }) => [mailDomain, result]),
      [
        ['receiver.test', 'pass'],
        ['receiver.test', 'pass'],
      ],
    )
    const { domains } = await api<TlsAnswer>('tls?days=400')
    assert.deepEqual(
      domains.map(({ domain, successful, failed }) => [domain, successful, failed]),
      [['example.org', 5326, 3]],
    )
    // The store reads the journal in the background.
    for (let known = 0; known < 3;) {
      const { senders } = await api<TrafficAnswer>('traffic')
      known = senders.find(({ sender }) => sender === 'noreply@receiver.test')?.messages ?? 0
      if (known < 3) await pause(100)
    }
    const page = await (await fetch(`http://127.0.0.1:${system.port('http')}/reports`)).text()
    assert.match(page, /sluice\.test[^]*100 %[^]*certificate-expired/)
    const { tls } = (await system.ctlJson('show', 'reports', '--domain', 'example.org')) as { readonly tls: TlsAnswer }
    assert.equal(tls.domains[0]?.failed, 3)
    assert.match((await system.ctl('show', 'reports')).stdout, /sluice\.test +24 +0/)
  })

  test('the same report brought again is kept once; one by forged mail counts nowhere, and all mail is delivered', async () => {
    const before = (await system.maildir('postmaster').messages()).length
    const again = gzipSync(dmarcXml({ domain: 'twice.test' }))
    await send('again.xml.gz', again, 'application/gzip')
    await send('again.xml.gz', again, 'application/gzip')
    await send(
      'forged.xml.gz',
      gzipSync(dmarcXml({ domain: 'twice.test', reportId: 'f' })),
      'application/gzip',
      'a@forged.test',
    )
    await system.maildir('postmaster').waitForMessages(before + 3)
    const { domains } = await api<DmarcAnswer>('dmarc?domain=twice.test')
    assert.deepEqual(
      domains.map(({ messages, doubtful }) => [messages, doubtful]),
      [[12, 1]],
    )
    await system.waitForLog((line) => line.event === 'report received' && line['kept'] === 'known')
  })

  test('what cannot be read goes where rules send the tag Unparsed, and its story says why', async () => {
    await send('bomb.xml.gz', gzipSync(Buffer.alloc(60 * 1024 * 1024)), 'application/gzip')
    const client = await SmtpClient.ready({ port: system.port('smtp') })
    const envelope = { from: 'friend@receiver.test', to: [address] }
    await client.send({ ...envelope, content: testMessage({ id: 'no-report' }) })
    await client.send({ ...envelope, content: feedbackMail(['Feedback-Type: abuse', 'User-Agent: x/1']) })
    await client.quit()
    const [one, two] = await system.maildir('unparsed').waitForMessages(2)
    assert.ok(one !== undefined && two !== undefined)
    const line = await system.waitForEvent('report unreadable')
    const shown = await system.ctl('show', 'message', String(line.id))
    assert.match(shown.stdout, /no report was read: it unpacks to more than|no report in it/)
    await system.waitForLog((told) => told.event === 'report received' && told['kind'] === 'abuse')
  })
})
