import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect } from 'node:net'
import { test } from 'node:test'

import { atEnd } from '../support/at-end.ts'
import { startMailSink } from '../support/mail-sink.ts'
import { MailSystem } from '../support/mail-system.ts'
import type { LogLine } from '../support/mail-system.ts'
import { idOf, testMessage } from '../support/messages.ts'
import { SmtpClient } from '../support/smtp-client.ts'

interface Site {
  readonly domain: string
  readonly more?: string
  readonly remote?: string
  readonly extra?: boolean
}

const pipeline = 'users from any\n'

/** A site for one domain; `{{extra}}` is a port that it may listen on. */
function siteConf({ domain, more = '', remote = 'action "remote" relay', extra = false }: Site): string {
  return `listen on 127.0.0.1 port {{smtp}}
${extra ? '' : '# '}listen on 127.0.0.1 port {{extra}} tag Extra
action "deliver" maildir "{{data}}/mail/%{user.username}"
${remote}
${more}
match from any for domain "${domain}" action "deliver"
match from any for domain "elsewhere.test" action ${/"(\w+)"/.exec(remote)?.[0] ?? '"remote"'}
`
}

async function rcpt(client: SmtpClient, to: string): Promise<number> {
  await client.command('RSET')
  await client.command('MAIL FROM:<a@remote.test>')
  return (await client.command(`RCPT TO:<${to}>`)).code
}

async function send(system: MailSystem, id: string, to: string): Promise<string> {
  const client = await SmtpClient.ready({ port: system.port('smtp') })
  const from = 'sender@remote.test'
  const reply = await client.send({ from, to: [to], content: testMessage({ id, from, to }) })
  await client.quit()
  return idOf(reply)
}

async function isOpen(port: number): Promise<boolean> {
  const socket = connect({ host: '127.0.0.1', port })
  try {
    await once(socket, 'connect')
    return true
  } catch {
    return false
  } finally {
    socket.destroy()
  }
}

const reloaded = (system: MailSystem, seen: number) =>
  system.waitForLog((line) => line.event === 'reloaded' && system.log.indexOf(line) >= seen)

test('an edited file counts for new sessions, a bad one for none', async (t) => {
  const system = await MailSystem.start({ pipeline, conf: siteConf({ domain: 'one.test' }) })
  atEnd(t, () => system.stop())
  const old = await SmtpClient.ready({ port: system.port('smtp') })
  await system.configure('smtpd.conf', siteConf({ domain: 'two.test' }))
  const { revision } = await reloaded(system, 0)
  const fresh = await SmtpClient.ready({ port: system.port('smtp') })
  assert.deepEqual([await rcpt(old, 'jane@one.test'), await rcpt(old, 'jane@two.test')], [250, 550])
  assert.deepEqual([await rcpt(fresh, 'jane@one.test'), await rcpt(fresh, 'jane@two.test')], [550, 250])
  await fresh.quit()
  await old.quit()

  await system.configure('smtpd.conf', siteConf({ domain: 'three.test', more: 'match for any action "nowhere"' }))
  const refused = await system.waitForEvent('reload refused')
  assert.match(String(refused['fault']), /smtpd\.conf:5:\d+: error: there is no action "nowhere"/)
  assert.equal(refused['revision'], revision)
  const still = await SmtpClient.ready({ port: system.port('smtp') })
  assert.deepEqual([await rcpt(still, 'jane@two.test'), await rcpt(still, 'jane@three.test')], [250, 550])
  await still.quit()
  const status = await system.ctl('show', 'status')
  assert.equal(status.code, 1)
  assert.match(status.stderr, /the configuration on disk is not in force:[^]*there is no action "nowhere"/)
  const page = await (await fetch(`http://127.0.0.1:${system.port('http')}/`)).text()
  assert.match(page, /The configuration on disk is not in force[^]*there is no action/)
  const asked = await system.ctl('reload')
  assert.deepEqual([asked.code, /refused/.test(asked.stdout)], [78, true], asked.stdout + asked.stderr)
  assert.match(asked.stderr, /there is no action "nowhere"/)

  await system.configure('smtpd.conf', siteConf({ domain: 'three.test' }))
  const done = await system.ctl('reload')
  assert.deepEqual([done.code, done.stderr], [0, ''])
  const now = await onlyRevision(system)
  assert.ok(done.stdout.includes(now) && now !== revision)
})

test('what needs a start stays in force, and is told as long as it waits', async (t) => {
  const system = await MailSystem.start({ pipeline, conf: siteConf({ domain: 'one.test' }) })
  atEnd(t, () => system.stop())
  await system.configure('pipeline.conf', `${pipeline}dashboard listen "127.0.0.1:{{extra}}"\n`)
  const done = await system.ctl('reload')
  const waits = /pipeline\.conf:2:1: warning: "dashboard" takes effect at the next start/
  assert.equal(done.code, 0)
  assert.match(done.stderr, waits)
  assert.match((await system.ctl('config')).stderr, waits)
  assert.equal((await fetch(`http://127.0.0.1:${system.port('http')}/`)).status, 200)

  await system.configure('pipeline.conf', `${pipeline}dashboard listen "127.0.0.1:{{http}}"\n`)
  const mended = await system.ctl('reload')
  assert.deepEqual([mended.code, mended.stderr], [0, ''])
  assert.equal((await system.ctl('config')).stderr.includes('not in force'), false)
  assert.match(
    (await system.ctl('config', '-D', 'other=1')).stderr,
    /not in force: inbound \(\d+ on .*\) works by revision/,
  )
})

test('SIGHUP opens and closes listeners; one that cannot be opened changes nothing', async (t) => {
  const system = await MailSystem.start({ pipeline, conf: siteConf({ domain: 'one.test' }), services: 'embedded' })
  atEnd(t, () => system.stop())
  const hangUp = (): void => void process.kill(system.pids[0] as number, 'SIGHUP')
  assert.equal(await isOpen(system.port('extra')), false)
  await system.configure('smtpd.conf', siteConf({ domain: 'one.test', extra: true }))
  hangUp()
  await reloaded(system, 0)
  const visitor = await SmtpClient.ready({ port: system.port('extra') })

  await system.configure(
    'smtpd.conf',
    siteConf({ domain: 'two.test', extra: false, more: 'listen on 127.0.0.1 port {{http}}' }),
  )
  hangUp()
  const refused = await system.waitForEvent('reload refused')
  assert.match(String(refused['fault']), /smtpd\.conf:5: listen on 127\.0\.0\.1 port \d+: the address is in use/)
  assert.ok(await isOpen(system.port('extra')))

  const seen = system.log.length
  await system.configure('smtpd.conf', siteConf({ domain: 'two.test' }))
  hangUp()
  await reloaded(system, seen)
  assert.equal(await isOpen(system.port('extra')), false)
  assert.equal(await rcpt(visitor, 'jane@one.test'), 250)
  await visitor.quit()
})

test('mail that waits goes by the rules in force when its action is changed, renamed or gone', async (t) => {
  const sink = await startMailSink({ respond: ({ stage }) => (stage === 'rcpt' ? '450 4.2.1 Later' : undefined) })
  const good = await startMailSink()
  const to = (name: string, port: number): string => `action "${name}" relay host "smtp://127.0.0.1:${port}"`
  const system = await MailSystem.start({
    pipeline,
    conf: siteConf({ domain: 'one.test', remote: to('out', sink.port) }),
  })
  atEnd(t, async () => {
    await system.stop()
    await sink.stop()
    await good.stop()
  })
  const first = await send(system, 'changed', 'x@elsewhere.test')
  await system.waitForEvent('delayed', first)
  await system.configure('smtpd.conf', siteConf({ domain: 'one.test', remote: to('out', good.port) }))
  assert.equal((await system.ctl('reload')).code, 0)
  assert.equal((await system.ctl('schedule', first)).code, 0)
  await good.waitForMessage((one) => one.id === 'changed')

  await system.configure('smtpd.conf', siteConf({ domain: 'one.test', remote: to('out', sink.port) }))
  assert.equal((await system.ctl('reload')).code, 0)
  const second = await send(system, 'renamed', 'x@elsewhere.test')
  await system.waitForEvent('delayed', second)
  await system.configure('smtpd.conf', siteConf({ domain: 'one.test', remote: to('away', good.port) }))
  assert.equal((await system.ctl('reload')).code, 0)
  assert.equal((await system.ctl('schedule', second)).code, 0)
  await good.waitForMessage((one) => one.id === 'renamed')
  await system.waitForEvent('relayed', second)
  assert.equal(good.copies.get('renamed'), 1)
})

test('processes that share the ports go along together, or not at all', async (t) => {
  const env = { SLUICE_INBOUND_PROCESSES: '2' }
  const system = await MailSystem.start({ pipeline, conf: siteConf({ domain: 'one.test' }), env, services: 'embedded' })
  atEnd(t, () => system.stop())
  await system.configure('smtpd.conf', siteConf({ domain: 'two.test', extra: true }))
  const done = await system.ctl('reload')
  assert.equal(done.code, 0, done.stdout + done.stderr)
  const revision = await onlyRevision(system)
  await allServe(system, 'two.test', 'one.test')

  const taken = 'listen on 127.0.0.1 port {{http}}'
  await system.configure('smtpd.conf', siteConf({ domain: 'three.test', more: taken }))
  const refused = await system.ctl('reload')
  assert.equal(refused.code, 78, refused.stdout + refused.stderr)
  assert.equal(refused.stdout.match(/ refused /g)?.length, 3)
  assert.match(refused.stderr, /smtpd\.conf:5: listen on 127\.0\.0\.1 port \d+: the address is in use/)
  assert.equal(await onlyRevision(system), revision)
  await allServe(system, 'two.test', 'three.test')

  const seen = system.log.length
  const victim = system.log.findLast((line) => line.msg === 'ready' && isInbound(line))
  process.kill(Number(String(victim?.['process']).split(':')[1]), 'SIGKILL')
  const back = await system.waitForLog((line) => line.msg === 'ready' && system.log.indexOf(line) >= seen)
  assert.equal(
    back['revision'],
    revision,
    'a process that crashed comes back with the rules in force, not with the bad file',
  )
  await allServe(system, 'two.test', 'three.test')

  process.kill(system.pids[0] as number, 'SIGHUP')
  await system.configure('smtpd.conf', siteConf({ domain: 'three.test', extra: true }))
  process.kill(system.pids[0] as number, 'SIGHUP')
  await system.waitForLog((line) => line.event === 'reloaded' && line['previous'] === revision && !isInbound(line))
  await allServe(system, 'three.test', 'two.test')
})

test('services in processes of their own all follow', async (t) => {
  const system = await MailSystem.start({ pipeline, conf: siteConf({ domain: 'one.test' }), services: 'processes' })
  atEnd(t, () => system.stop())
  await system.configure('smtpd.conf', siteConf({ domain: 'two.test', extra: true }))
  const done = await system.ctl('reload')
  assert.equal(done.code, 0, done.stdout + done.stderr)
  assert.equal(done.stdout.trim().split('\n').length, 8)
  await onlyRevision(system)
  await allServe(system, 'two.test', 'one.test')
  await send(system, 'through', 'jane@two.test')
  await system.maildir('jane').waitForMessages(1)
})

/** Of all services, which agree. */
async function onlyRevision(system: MailSystem): Promise<string> {
  const status = await system.ctl('show', 'status', '--json')
  const { services } = JSON.parse(status.stdout) as {
    readonly services: readonly { readonly configuration: { readonly revision: string } }[]
  }
  const [revision, ...others] = new Set(services.map((one) => one.configuration.revision))
  assert.deepEqual(others, [])
  return revision ?? ''
}

/** Whichever process takes a connection to either port: it serves `domain`, and not `other`. */
async function allServe(system: MailSystem, domain: string, other: string): Promise<void> {
  const ports = [system.port('smtp'), system.port('extra')]
  const clients = await Promise.all([...ports, ...ports, ...ports, ...ports].map((port) => SmtpClient.ready({ port })))
  for (const client of clients) {
    assert.deepEqual([await rcpt(client, `jane@${domain}`), await rcpt(client, `jane@${other}`)], [250, 550])
    await client.quit()
  }
}

function isInbound(line: LogLine): boolean {
  return String(line['process']).startsWith('inbound:')
}
