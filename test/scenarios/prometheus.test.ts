import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'

import { parse } from 'yaml'

import { readHeartbeats } from '../../shared/heartbeat.ts'
import { atEnd } from '../support/at-end.ts'
import { passwords, remoteWorld, standardConf, standardPipeline } from '../support/configurations.ts'
import { startDns } from '../support/dns.ts'
import { root } from '../support/fixtures.ts'
import { startMailSink } from '../support/mail-sink.ts'
import { MailSystem } from '../support/mail-system.ts'
import { idOf, testMessage } from '../support/messages.ts'
import { missingPeers } from '../support/peer.ts'
import { promtool, startPrometheus, type Prometheus } from '../support/prometheus.ts'
import { type RedisServer, startRedis } from '../support/redis.ts'
import { SmtpClient } from '../support/smtp-client.ts'

const gtube = 'XJS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X'

/** Every expression of what we ship, by who asks. */
const alerts = (
  parse(shipped('prometheus/alerts.yml')) as { readonly groups: readonly { readonly rules: readonly Rule[] }[] }
).groups.flatMap(({ rules }) => rules)
const panels = (JSON.parse(shipped('grafana/dashboards/sluice.json')) as { readonly panels: readonly Panel[] }).panels
const triggers = (parse(shipped('kubernetes/scaling/filter.yaml')) as Scaler).spec.triggers.map(
  ({ metadata }) => metadata.valueLocation,
)

interface Rule {
  readonly alert: string
  readonly expr: string
}

interface Panel {
  readonly title: string
  readonly targets: readonly { readonly expr: string }[]
}

interface Scaler {
  readonly spec: { readonly triggers: readonly { readonly metadata: { readonly valueLocation: string } }[] }
}

function shipped(path: string): string {
  return readFileSync(join(root, 'deploy', path), 'utf8')
}

function expressionOf(alert: string): string {
  const rule = alerts.find((one) => one.alert === alert)
  assert.ok(rule, alert)
  return rule.expr
}

/** `name{label="value"}` of each series that an expression asks for. */
function selectorsIn(expression: string): readonly string[] {
  return [...expression.matchAll(/\b(?:sluice_\w+|up)\b(?:\{[^}]*\})?/g)].map(([selector]) => selector)
}

interface World {
  readonly system: MailSystem
  readonly redis: RedisServer
  readonly prometheus: Prometheus
}

const needed = missingPeers('prometheus', 'promtool')

test('what we ship for Prometheus, Grafana and KEDA works with a real one', { skip: needed }, async (t) => {
  const world = await startWorld(t)
  const { system, redis, prometheus } = world
  // Before there is mail: rates begin here.
  await prometheus.waitFor('sluice_events_total{event="received"}', ({ value }) => value === 0)
  await sendAllKinds(system, 'first')
  for (const [event, atLeast] of happened)
    await prometheus.waitFor(`sum(sluice_events_total{event="${event}"})`, ({ value }) => value >= atLeast)
  // A histogram begins with its first observation: rates see the others.
  await sendAllKinds(system, 'second')

  await t.test('the text of /metrics is as the makers of Prometheus want it', async () => {
    const answer = await fetch(`http://127.0.0.1:${system.port('metrics')}/metrics`)
    // Prometheus 3 takes nothing whose format is not said.
    assert.equal(answer.headers.get('content-type'), 'text/plain; version=0.0.4; charset=utf-8')
    const checked = await promtool(['check', 'metrics'], await answer.text())
    assert.equal(checked.code, 0, `${checked.stdout}${checked.stderr}`)
  })

  await t.test('it sees what became of the mail', async () => {
    for (const [event, atLeast] of happened)
      await prometheus.waitFor(`sum(sluice_events_total{event="${event}"})`, ({ value }) => value >= 2 * atLeast)
    for (const expression of [
      'sum(increase(sluice_events_total{event="delivered"}[5m]))',
      'sum(sluice_verdicts_total{verdict="quarantine"})',
      'sum(sluice_rejections_total{stage="rcpt",code="550"})',
      'sum(sluice_outcome_seconds_count{outcome="failed"})',
      'sum(sluice_message_size_bytes_count)',
      'sum(sluice_queue_wait_seconds_count{queue="filter"})',
      'sum(sluice_tls_sessions_total{version="TLSv1.3"})',
      'sum(sluice_before_accept_seconds_count{decision="pass"})',
      'sluice_queue_messages{queue="relay",state="delayed"}',
      'sluice_queue_messages{queue="filter",state="held"}',
      'sluice_held_messages',
      'sluice_redis_memory_limit_bytes',
      'sluice_spool_free_bytes',
    ])
      await prometheus.waitFor(expression, ({ value }) => value > 0)
  })

  for (const { title, targets } of panels) {
    await t.test(`the panel "${title}" has something to show`, async () => {
      for (const { expr } of targets)
        await prometheus.waitFor(expr.replaceAll('$__rate_interval', '5m'), ({ value }) => Number.isFinite(value))
    })
  }

  for (const { alert, expr } of alerts) {
    await t.test(`the alert ${alert} asks for series that are there`, async () => {
      await prometheus.query(expr)
      for (const selector of selectorsIn(expr)) await prometheus.waitFor(selector)
    })
  }

  await t.test('KEDA finds one number for each of its triggers, and they grow with what waits', async () => {
    assert.equal(triggers.length, 2)
    assert.equal((await system.ctl('pause', 'filter')).code, 0)
    for (const number of [1, 2, 3]) await send(system, 'smtp', { id: `waits${number}`, to: 'jane@sluice.test' })
    for (const trigger of triggers) {
      const found = await prometheus.waitFor(trigger, ({ value }) => value > 0)
      assert.equal(found.length, 1, trigger)
    }
    await prometheus.waitFor(triggers[0] as string, ({ value }) => value === 3)
  })

  await t.test('alerts come true when what they watch for happens', async () => {
    await prometheus.waitFor(expressionOf('QueuePaused'), ({ labels }) => labels['queue'] === 'filter')
    assert.equal((await system.ctl('resume', 'filter')).code, 0)

    await system.configure('smtpd.conf', 'no such word\n')
    await system.ctl('reload')
    await prometheus.waitFor(expressionOf('ConfigurationFaulty'))

    await system.kill('signer')
    await prometheus.waitFor(expressionOf('ServiceTrouble'), ({ labels }) => labels['service'] === 'signer')

    await redis.stop()
    await send(system, 'smtp', { id: 'away', to: 'jane@sluice.test' })
    await prometheus.waitFor(expressionOf('RedisAway'))
    await prometheus.waitFor(expressionOf('WaitingForQueues'), ({ value }) => value === 1)
    assert.deepEqual(await prometheus.query(triggers[0] as string), [], 'no old numbers for KEDA')
    await workersLackRedis(system)
    await redis.start()

    await system.kill('dashboard', 'SIGTERM')
    await prometheus.waitFor(expressionOf('SluiceSilent'))
  })
})

/** Workers are not ready, mail comes in, and nothing is to be started anew for it. */
async function workersLackRedis(system: MailSystem): Promise<void> {
  const code = async (path: string): Promise<number> =>
    (await fetch(`http://127.0.0.1:${system.port('metrics')}${path}`)).status
  assert.deepEqual([await code('/health'), await code('/ready'), await code('/alive')], [503, 503, 200])
  const giveUpAt = Date.now() + 120_000
  for (;;) {
    const beats = await readHeartbeats(system.dataFolder, Date.now())
    const lacks = new Map(beats.map((beat) => [beat.service, beat.lacks]))
    assert.equal(lacks.get('inbound'), undefined)
    // They speak every 5 s.
    if (['filter', 'delivery', 'relay'].every((name) => lacks.get(name)?.[0] === 'Redis does not answer')) return
    assert.ok(Date.now() < giveUpAt, JSON.stringify(beats))
    await pause(500)
  }
}

/** Events of `sendAllKinds`, and how many there are at least. */
const happened = new Map([
  ['received', 5],
  ['filtered', 3],
  ['judged', 1],
  ['signed', 1],
  ['delivered', 2],
  ['relayed', 1],
  ['failed', 1],
  ['delayed', 1],
  ['held', 1],
  ['rejected', 1],
  ['secured', 1],
])

async function startWorld(t: Parameters<typeof atEnd>[0]): Promise<World> {
  const dns = await startDns({ 'far.test': { MX: [[10, 'mx.far.test']] }, 'mx.far.test': { A: ['127.0.0.1'] } })
  atEnd(t, () => dns.stop())
  const sink = await startMailSink({
    respond: ({ stage, argument }) => {
      if (stage !== 'rcpt') return undefined
      if (argument.startsWith('refused@')) return '550 5.1.1 No such user'
      return argument.startsWith('later@') ? '450 4.2.0 Try again' : undefined
    },
  })
  atEnd(t, () => sink.stop())
  const redis = await startRedis(['--maxmemory', '256mb', '--maxmemory-policy', 'noeviction'])
  atEnd(t, () => redis.close())
  const system = await MailSystem.start({
    conf: standardConf({ more: 'listen on 127.0.0.1 port {{gate}}' }),
    pipeline: standardPipeline(`${remoteWorld(dns.address, sink.port)}
spam quarantine 10
filter before-accept on "127.0.0.1:{{gate}}" deadline 60s
metrics listen "127.0.0.1:{{metrics}}"`),
    redisUrl: redis.url,
    services: 'processes',
  })
  atEnd(t, () => system.stop())
  const prometheus = await startPrometheus(`127.0.0.1:${system.port('metrics')}`)
  atEnd(t, () => prometheus.stop())
  return { system, redis, prometheus }
}

async function send(
  system: MailSystem,
  port: 'smtp' | 'gate',
  { id, to, body = 'hello' }: { readonly id: string; readonly to: string; readonly body?: string },
): Promise<void> {
  const client = await SmtpClient.ready({ port: system.port(port) })
  const from = 'bob@remote.test'
  idOf(await client.send({ from, to: [to], content: testMessage({ id, from, to, body }) }))
  await client.quit()
}

/** Delivered, junk that is held, taken after the filter was asked, refused; relayed, failed with a bounce, and put off. */
async function sendAllKinds(system: MailSystem, round: string): Promise<void> {
  await send(system, 'smtp', { id: `clean-${round}`, to: 'jane@sluice.test' })
  await send(system, 'smtp', { id: `junk-${round}`, to: 'jane@sluice.test', body: gtube })
  await send(system, 'gate', { id: `asked-${round}`, to: 'joe@sluice.test' })
  const stranger = await SmtpClient.ready({ port: system.port('smtp') })
  await stranger.command('MAIL FROM:<bob@remote.test>')
  assert.equal((await stranger.command('RCPT TO:<ann@elsewhere.test>')).code, 550)
  await stranger.quit()
  const jane = await SmtpClient.ready({
    port: system.port('submission'),
    starttls: true,
    user: 'jane',
    password: passwords.jane,
  })
  for (const to of ['ann@far.test', 'refused@far.test', 'later@far.test']) {
    const from = 'jane@sluice.test'
    idOf(await jane.send({ from, to: [to], content: testMessage({ id: `${to}-${round}`, from, to }) }))
  }
  await jane.quit()
}
