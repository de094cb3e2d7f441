import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'

import { passwords, remoteWorld, standardConf, standardPipeline } from '../support/configurations.ts'
import { type DnsServer, startDns } from '../support/dns.ts'
import { freePort } from '../support/free-port.ts'
import { type MailSink, type SinkEvent, startMailSink } from '../support/mail-sink.ts'
import { MailSystem } from '../support/mail-system.ts'
import { idOf, testMessage } from '../support/messages.ts'
import { type CollectedSpan, type OtlpCollector, startOtlpCollector } from '../support/otlp-collector.ts'
import { SmtpClient } from '../support/smtp-client.ts'

/** The remote host's mood by recipient. */
function moods({ stage, argument, count }: SinkEvent): string | undefined {
  if (stage === 'rcpt' && argument === 'later@far.test' && count === 1) return '450 4.2.1 later@far.test is asleep'
  if (stage === 'rcpt' && argument.startsWith('never')) return '550 5.1.1 No such user'
  return undefined
}

async function submit(system: MailSystem, to: string, session?: SmtpClient): Promise<string> {
  const client = session ?? (await login(system))
  const from = 'jane@sluice.test'
  const reply = await client.send({ from, to: [to], content: testMessage({ id: to, from, to }) })
  if (session === undefined) await client.quit()
  return idOf(reply)
}

function login(system: MailSystem): Promise<SmtpClient> {
  const port = system.port('submission')
  return SmtpClient.ready({ port, starttls: true, user: 'jane', password: passwords.jane })
}

/** Names from the first span of the trace down to this one. */
function wayTo(span: CollectedSpan, spans: readonly CollectedSpan[]): readonly string[] {
  const parent = spans.find(({ spanId, traceId }) => spanId === span.parentSpanId && traceId === span.traceId)
  return parent === undefined ? [span.name] : [...wayTo(parent, spans), span.name]
}

describe('traces', () => {
  let collector: OtlpCollector
  let dns: DnsServer
  let sink: MailSink
  let mailboxes: MailSink
  let system: MailSystem

  before(async () => {
    collector = await startOtlpCollector()
    sink = await startMailSink({ respond: moods, extensions: ['PIPELINING'] })
    mailboxes = await startMailSink({ protocol: 'lmtp', extensions: ['PIPELINING'] })
    dns = await startDns({ 'far.test': { MX: [[10, 'mx.far.test']] }, 'mx.far.test': { A: ['127.0.0.1'] } })
    system = await MailSystem.start({
      conf: standardConf({ deliver: `lmtp "127.0.0.1:${mailboxes.port}"` }),
      pipeline: standardPipeline(`traces to "${collector.url}"\n${remoteWorld(dns.address, sink.port)}`),
      services: 'processes',
      env: {
        OTEL_EXPORTER_OTLP_HEADERS: 'x-tenant=mail',
        OTEL_RESOURCE_ATTRIBUTES: 'deployment.environment.name=test',
      },
    })
  })

  after(async () => {
    await system.stop()
    await sink.stop()
    await mailboxes.stop()
    await dns.stop()
    await collector.stop()
  })

  /** All spans of the message's trace, once there is one with this name. */
  async function traceOf(id: string, until: (span: CollectedSpan) => boolean): Promise<readonly CollectedSpan[]> {
    return collector.waitFor(`the trace of ${id}`, (spans) => {
      const [traceId] = spans.flatMap((one) => (one.attributes['sluice.message.id'] === id ? [one.traceId] : []))
      const trace = spans.filter((one) => one.traceId === traceId)
      return trace.some(until) ? trace : undefined
    })
  }

  /** The trace of the message, once the collector has spans that are reached by each of these ways. */
  function traceWith(id: string, expected: readonly string[]): Promise<readonly CollectedSpan[]> {
    return collector.waitFor(`${expected.join('\n')}\nin the trace of ${id}`, (all) => {
      const traceId = all.find((one) => one.attributes['sluice.message.id'] === id)?.traceId
      const trace = all.filter((one) => one.traceId === traceId)
      const ways = new Set(trace.map((span) => wayTo(span, trace).join(' > ')))
      return expected.every((way) => ways.has(way)) ? trace : undefined
    })
  }

  test('one trace leads from EHLO to the remote 250, through all processes', async () => {
    const id = await submit(system, 'ann@far.test')
    await sink.waitForMessage((one) => one.id === 'ann@far.test')
    const transaction = 'SMTP session > SMTP transaction'
    const attempt = `${transaction} > process relay > stage relay > relay attempt`
    const spans = await traceWith(id, [
      'SMTP session',
      transaction,
      `${transaction} > spool write`,
      `${transaction} > wait sign`,
      `${transaction} > process sign > stage sign > sign`,
      `${transaction} > wait relay`,
      `${transaction} > process relay > stage relay > MX look-up`,
      attempt,
      ...['connect', 'greeting', 'EHLO', 'MAIL', 'RCPT', 'DATA', 'content'].map((step) => `${attempt} > ${step}`),
    ])
    const byName = (name: string): CollectedSpan => spans.find((one) => one.name === name) as CollectedSpan
    assert.deepEqual(byName('SMTP session').events.slice(0, 4), ['EHLO', 'STARTTLS', 'TLS', 'EHLO'])
    assert.ok(byName('SMTP session').events.includes('AUTH'))
    assert.equal(byName('content').attributes['sluice.smtp.reply_code'], 250)
    assert.equal(byName('relay attempt').attributes['server.address'], 'mx.far.test')
    assert.equal(byName('relay attempt').attributes['network.peer.address'], '127.0.0.1')
    assert.equal(byName('process relay').attributes['messaging.destination.name'], 'relay')
    assert.equal(byName('stage relay').attributes['sluice.message.id'], id)
    assert.ok(spans.every((span) => !span.isError && span.end >= span.start))
    const told = spans.map(({ resource }) => String(resource['service.instance.id']).split(':')[1])
    assert.deepEqual(new Set(told), new Set(['inbound', 'signer', 'relay']))
    assert.ok(spans.every(({ resource }) => resource['service.name'] === 'sluice'))
    assert.ok(spans.every(({ resource }) => resource['deployment.environment.name'] === 'test'))
    const { url, headers } = collector.requests[0] ?? {}
    assert.deepEqual([url, headers?.['x-tenant']], ['/v1/traces', 'mail'])
    const everything = JSON.stringify(spans, (_key, value: unknown) => (typeof value === 'bigint' ? '' : value))
    assert.doesNotMatch(everything, /jane|ann@|asleep/, 'addresses of people are not told unasked')
  })

  test('mail for this host is followed through the engines of the filter to the mailbox server', async () => {
    const client = await SmtpClient.ready({ port: system.port('smtp') })
    const [from, to] = ['stranger@remote.test', 'jane@sluice.test']
    const id = idOf(await client.send({ from, to: [to], content: testMessage({ id: 'in', from, to }) }))
    await client.quit()
    const engines = ['authentication', 'classifier'].map((name) => `process filter > stage filter > engine ${name}`)
    const steps = ['connect', 'LHLO', 'RCPT', 'content']
    await traceWith(
      id,
      [...engines, ...steps.map((step) => `process deliver > stage deliver > LMTP transaction > ${step}`)].map(
        (way) => `SMTP session > SMTP transaction > ${way}`,
      ),
    )
  })

  test('the story of a message names its trace', async () => {
    const id = await submit(system, 'zoe@far.test')
    const received = await system.waitForEvent('received', id)
    const [span] = await traceOf(id, () => true)
    assert.equal(received['trace'], span?.traceId)
    await system.waitForEvent('relayed', id)
    assert.match((await system.ctl('trace', id)).stdout, new RegExp(`${span?.traceId}`))
  })

  test('a refusal is an error of the trace, and the retry joins it, with Redis emptied in between', async () => {
    const id = await submit(system, 'later@far.test')
    await system.waitForEvent('delayed', id)
    await system.ownRedis('flushall')
    await system.waitForEvent('requeued', id)
    await system.ctl('schedule', id)
    await system.waitForEvent('relayed', id)
    const spans = await collector.waitFor('both attempts', (all) => {
      const traceId = all.find((one) => one.attributes['sluice.message.id'] === id)?.traceId
      const trace = all.filter((one) => one.traceId === traceId)
      return trace.filter(({ name }) => name === 'process relay').length >= 2 ? trace : undefined
    })
    const attempts = spans.filter(({ name }) => name === 'relay attempt')
    assert.deepEqual(
      attempts.map(({ isError, attributes }) => [isError, attributes['error.type']]),
      [
        [true, '450'],
        [false, undefined],
      ],
    )
    const refused = spans.filter(({ name, isError }) => name === 'RCPT' && isError)
    assert.deepEqual(
      refused.map(({ attributes }) => attributes['sluice.smtp.reply_code']),
      [450],
    )
  })

  test('a bounce goes on with the trace of the message it is about', async () => {
    const id = await submit(system, 'never@far.test')
    const reported = await system.waitForLog((line) => line.event === 'reported' && line['about'] === id)
    await system.waitForEvent('delivered', String(reported.id))
    const spans = await traceOf(id, ({ name }) => name === 'process deliver')
    const deliver = spans.find(({ name }) => name === 'stage deliver') as CollectedSpan
    assert.deepEqual(wayTo(deliver, spans), [
      'SMTP session',
      'SMTP transaction',
      'bounce',
      'process deliver',
      'stage deliver',
    ])
    assert.equal(deliver.attributes['sluice.message.id'], reported.id)
  })

  test('the second message of a session has a trace of its own, linked to the first', async () => {
    const client = await login(system)
    const first = await submit(system, 'one@far.test', client)
    const second = await submit(system, 'two@far.test', client)
    await client.quit()
    const one = await traceWith(first, ['SMTP session', 'SMTP session > SMTP transaction > process relay'])
    const two = await traceOf(second, ({ name }) => name === 'process relay')
    const [root] = two.filter(({ parentSpanId }) => parentSpanId === undefined)
    assert.equal(root?.name, 'SMTP transaction')
    assert.deepEqual(root?.links, [one[0]?.traceId])
    assert.notEqual(two[0]?.traceId, one[0]?.traceId)
  })
})

test('a collector that is away delays no mail, and what is dropped is counted and told once', async () => {
  const sink = await startMailSink()
  const nobody = await freePort()
  const system = await MailSystem.start({
    conf: standardConf({ remote: `relay host "smtp://127.0.0.1:${sink.port}"` }),
    pipeline: standardPipeline(`traces with addresses\nmetrics listen "127.0.0.1:{{metrics}}"`),
    env: { OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${nobody}`, OTEL_EXPORTER_OTLP_TIMEOUT: '500' },
  })
  try {
    await submit(system, 'ann@far.test')
    await sink.waitForMessages(1)
    const line = await system.waitForLog(({ msg }) => msg?.startsWith('traces: spans are dropped') === true)
    assert.equal(line['level'], 40)
    await submit(system, 'bob@far.test')
    await sink.waitForMessages(2)
    const metrics = await (await fetch(`http://127.0.0.1:${system.port('metrics')}/metrics`)).text()
    const [counted] = metrics.split('\n').filter((one) => one.startsWith('sluice_trace_spans_total{outcome="dropped"'))
    assert.match(counted ?? '', / [1-9]\d*$/)
    assert.equal(system.log.filter(({ msg }) => msg?.startsWith('traces: spans are dropped') === true).length, 1)
  } finally {
    await system.stop()
    await sink.stop()
  }
})
