import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'

import { parse, stringify } from 'yaml'

import { root } from '../support/fixtures.ts'
import { missingPeers } from '../support/peer.ts'
import { promtool } from '../support/prometheus.ts'
import { tempFolder } from '../support/temp-folder.ts'

const file = join(root, 'deploy/prometheus/alerts.yml')

/** An hour or so of a mail host, for promtool. */
interface Story {
  readonly name: string
  /** As promtool writes them: `0x20 1x80` is 21 times 0, then 81 times 1. */
  readonly series: Readonly<Record<string, string>>
  /** Between two values; 15s unless told otherwise. */
  readonly every?: string
  /** When which alert is up, and of what; without labels it is not up. */
  readonly alerts: readonly (readonly [at: string, alert: string, ...labels: Readonly<Record<string, string>>[]])[]
}

const stories: readonly Story[] = [
  {
    name: 'nothing answers',
    series: { 'up{job="sluice"}': '1x20 0x80', 'up{job="other"}': '0x100' },
    alerts: [
      ['6m', 'SluiceSilent'],
      ['8m', 'SluiceSilent', { job: 'sluice', severity: 'page' }],
    ],
  },
  {
    name: 'Redis is away',
    series: {
      sluice_redis_up: '1x20 0x80',
      'sluice_accepted_without_job{process="inbound.a.1"}': '0x20 3x80',
      'sluice_accepted_without_job{process="inbound.b.1"}': '0x20 4x80',
    },
    alerts: [
      ['5m', 'RedisAway'],
      ['7m', 'RedisAway', { severity: 'page' }],
      ['9m', 'WaitingForQueues'],
      ['11m', 'WaitingForQueues', { severity: 'page' }],
    ],
  },
  {
    name: 'a queue stands; one that an operator paused is told as that',
    series: {
      'sluice_queue_oldest_seconds{queue="filter"}': '0+15x400',
      'sluice_queue_oldest_seconds{queue="sign"}': '0+15x400',
      'sluice_queue_oldest_seconds{queue="relay"}': '10x400',
      'sluice_queue_paused{queue="filter"}': '0x400',
      'sluice_queue_paused{queue="sign"}': '1x400',
      'sluice_queue_paused{queue="relay"}': '0x400',
    },
    alerts: [
      ['9m', 'QueueStands'],
      ['11m', 'QueueStands', { queue: 'filter', severity: 'page' }],
      ['59m', 'QueuePaused'],
      ['61m', 'QueuePaused', { queue: 'sign', severity: 'ticket' }],
    ],
  },
  {
    name: 'next hops refuse a third',
    series: {
      'sluice_remote_replies_total{stage="relay",class="2xx",process="a"}': '0+20x400',
      'sluice_remote_replies_total{stage="relay",class="5xx",process="a"}': '0+5x400',
      'sluice_remote_replies_total{stage="relay",class="5xx",process="b"}': '0+5x400',
    },
    alerts: [
      ['10m', 'ManyFailures'],
      ['60m', 'ManyFailures', { severity: 'ticket' }],
    ],
  },
  {
    name: 'next hops refuse a tenth',
    series: {
      'sluice_remote_replies_total{stage="relay",class="2xx"}': '0+90x400',
      'sluice_remote_replies_total{stage="relay",class="5xx"}': '0+10x400',
    },
    alerts: [['60m', 'ManyFailures']],
  },
  {
    name: 'next hops refuse all, which is next to nothing',
    series: { 'sluice_remote_replies_total{stage="relay",class="5xx"}': '0x100 1x100 2x100 3x100' },
    alerts: [['90m', 'ManyFailures']],
  },
  {
    name: 'a process is behind',
    series: {
      'sluice_nodejs_eventloop_lag_p99_seconds{process="filter.a.1"}': '0.02x20 1.5x100',
      'sluice_nodejs_eventloop_lag_p99_seconds{process="relay.a.1"}': '0.02x120',
    },
    alerts: [
      ['14m', 'ProcessIsBehind'],
      ['16m', 'ProcessIsBehind', { process: 'filter.a.1', severity: 'ticket' }],
    ],
  },
  {
    name: 'a message is missing',
    series: {
      'sluice_missing_messages{process="ledger.a.1"}': '0x20 1x80',
      'sluice_missing_messages{process="filter.a.1"}': '0x100',
    },
    alerts: [
      ['5m', 'MessagesMissing'],
      ['7m', 'MessagesMissing', { severity: 'page' }],
    ],
  },
  {
    name: 'the spool fills',
    series: { sluice_spool_up: '1x200', sluice_spool_free_bytes: '3000000000x20 1000000000x180' },
    alerts: [
      ['9m', 'SpoolNearlyFull'],
      ['11m', 'SpoolNearlyFull', { severity: 'page' }],
    ],
  },
  {
    name: 'the spool cannot be written to',
    series: { sluice_spool_up: '0x100' },
    alerts: [
      ['4m', 'SpoolNearlyFull'],
      ['6m', 'SpoolNearlyFull', { severity: 'page' }],
    ],
  },
  {
    name: 'Redis fills',
    series: { sluice_redis_memory_used_bytes: '60x20 71x180', sluice_redis_memory_limit_bytes: '100x200' },
    alerts: [
      ['14m', 'RedisNearlyFull'],
      ['16m', 'RedisNearlyFull', { severity: 'ticket' }],
    ],
  },
  {
    name: 'a Redis without a limit is never nearly full',
    series: { sluice_redis_memory_used_bytes: '71000000000x200' },
    alerts: [['30m', 'RedisNearlyFull']],
  },
  {
    name: 'services tell of trouble, or end without a word',
    series: {
      'sluice_troubles{service="filter"}': '0x20 2x180',
      'sluice_troubles{service="relay"}': '0x200',
      'sluice_services_silent{service="filter"}': '0x200',
      'sluice_services_silent{service="relay"}': '0x20 1x180',
    },
    alerts: [
      ['14m', 'ServiceTrouble'],
      ['16m', 'ServiceTrouble', { service: 'filter', severity: 'ticket' }, { service: 'relay', severity: 'ticket' }],
    ],
  },
  {
    name: 'the configuration has a fault',
    series: { sluice_configuration_faulty: '0x20 8x80' },
    alerts: [
      ['9m', 'ConfigurationFaulty'],
      ['11m', 'ConfigurationFaulty', { severity: 'ticket' }],
    ],
  },
  {
    name: 'a certificate ends in 13 days, another in 15 (the time begins at 0)',
    every: '1m',
    series: {
      'sluice_certificate_expires_timestamp_seconds{pki="old.test"}': '1123200x200',
      'sluice_certificate_expires_timestamp_seconds{pki="new.test"}': '1296000x200',
    },
    alerts: [
      ['45m', 'CertificateEnds'],
      ['2h', 'CertificateEnds', { pki: 'old.test', severity: 'ticket' }],
    ],
  },
  {
    name: 'the receiver of a webhook does not take an event',
    series: {
      'sluice_webhook_events_total{outcome="sent",process="ledger.a.1"}': '0+10x400',
      'sluice_webhook_events_total{outcome="dropped",process="ledger.a.1"}': '0x40 1x360',
    },
    alerts: [
      ['9m', 'WebhooksDropped'],
      ['12m', 'WebhooksDropped', { severity: 'ticket' }],
      ['90m', 'WebhooksDropped'],
    ],
  },
]

test('each alert comes when it should, and not before', { skip: missingPeers('promtool') }, async (t) => {
  const folder = await tempFolder('alerts')
  t.after(() => folder.remove())
  const path = join(folder.path, 'stories.yml')
  const tests = stories.map(({ name, every = '15s', series, alerts }) => ({
    name,
    interval: every,
    input_series: Object.entries(series).map(([one, values]) => ({ series: one, values })),
    promql_expr_test: alerts.map(([at, alert, ...labels]) => ({
      eval_time: at,
      expr: `ALERTS{alertname="${alert}",alertstate="firing"}`,
      exp_samples: labels.map((some) => ({ labels: firing(alert, some), value: 1 })),
    })),
  }))
  await writeFile(path, stringify({ rule_files: [file], evaluation_interval: '15s', tests }))
  const { code, stdout, stderr } = await promtool(['test', 'rules', path])
  assert.equal(code, 0, `${stdout}${stderr}`)
})

test('of each alert there is a story in which it comes, and what to do is told with it', () => {
  const { groups } = parse(readFileSync(file, 'utf8')) as { readonly groups: readonly Group[] }
  const told = stories.flatMap(({ alerts }) => alerts.filter(([, , ...labels]) => labels.length > 0))
  for (const { alert, labels, annotations } of groups.flatMap(({ rules }) => rules)) {
    assert.ok(
      told.some(([, name]) => name === alert),
      alert,
    )
    assert.match(labels.severity, /^(page|ticket)$/, alert)
    assert.ok(annotations.summary !== '' && annotations.do !== '', alert)
  }
})

test('the files are as Prometheus wants them', { skip: missingPeers('promtool') }, async (t) => {
  const folder = await tempFolder('alerts')
  t.after(() => folder.remove())
  const path = join(folder.path, 'prometheus.yml')
  // In the container the rules lie beside it.
  const text = readFileSync(join(root, 'deploy/prometheus/prometheus.yml'), 'utf8')
  assert.ok(text.includes('/etc/prometheus/alerts.yml'))
  await writeFile(path, text.replace('/etc/prometheus/alerts.yml', file))
  const { code, stdout, stderr } = await promtool(['check', 'config', path])
  assert.equal(code, 0, `${stdout}${stderr}`)
  assert.match(stdout, /\d+ rules found/)
})

interface Group {
  readonly rules: readonly {
    readonly alert: string
    readonly labels: { readonly severity: string }
    readonly annotations: { readonly summary: string; readonly do: string }
  }[]
}

function firing(alert: string, labels: Readonly<Record<string, string>>): string {
  const all = Object.entries({ alertname: alert, alertstate: 'firing', ...labels })
  return `ALERTS{${all.map(([name, value]) => `${name}="${value}"`).join(',')}}`
}
