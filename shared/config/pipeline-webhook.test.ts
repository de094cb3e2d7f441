import assert from 'node:assert/strict'
import { test } from 'node:test'

import { ConfigurationError } from './load.ts'
import type { WebhookSetting } from './model.ts'
import { pipelineLoader } from './testing.ts'

const loadWhole = pipelineLoader()
const secretFile = import.meta.filename
const rest = `secret file "${secretFile}"`

async function load(...lines: readonly string[]): Promise<readonly WebhookSetting[]> {
  return (await loadWhole(...lines)).webhooks
}

test('each webhook has its events and its secret; http goes to hosts of our own', async () => {
  assert.deepEqual(await load(''), [])
  assert.deepEqual(
    await load(
      `webhook "https://hooks.example.org/mail?of=mx" events delivered failed, held may-repeat held ${rest}`,
      `webhook "http://127.0.0.1:8000" events received ${rest}`,
    ),
    [
      {
        url: 'https://hooks.example.org/mail?of=mx',
        events: ['delivered', 'failed', 'held', 'may repeat'],
        secretFile,
      },
      { url: 'http://127.0.0.1:8000/', events: ['received'], secretFile },
    ],
  )
  for (const host of ['localhost:1', 'n8n:5678', '[::1]', '10.2.3.4', '172.16.0.1', '192.168.1.1', '[fd00::1]'])
    assert.equal((await load(`webhook "http://${host}/x" events held ${rest}`)).length, 1, host)
})

test('what cannot be meant is refused with what to write', async () => {
  const rows: readonly (readonly [string, RegExp])[] = [
    [`webhook here events held ${rest}`, /"here" is not a URL/],
    [`webhook "ftp://a.org/" events held ${rest}`, /is not a URL of http/],
    [`webhook "https://a:b@a.org/" events held ${rest}`, /holds no password/],
    [`webhook "http://a.org/" events held ${rest}`, /in clear[^]*https/],
    [`webhook "http://8.8.8.8/" events held ${rest}`, /in clear/],
    [`webhook "http://172.32.0.1/" events held ${rest}`, /in clear/],
    [`webhook "http://[2001:db8::1]/" events held ${rest}`, /in clear/],
    [`webhook "https://a.org/" held ${rest}`, /events/],
    [`webhook "https://a.org/" events ${rest}`, /there is no event "secret"/],
    [`webhook "https://a.org/" events helt ${rest}`, /did you mean "held"[^]*may-repeat/],
    [`webhook "https://a.org/" events connected ${rest}`, /no event "connected" about messages[^]*received, made/],
    ['webhook "https://a.org/" events held', /secret/],
    ['webhook "https://a.org/" events held secret file "/nonexistent"', /nonexistent/],
    [`webhook "https://a.org" events held ${rest}\nwebhook "https://a.org/" events failed ${rest}`, /already/],
  ]
  for (const [lines, told] of rows)
    await assert.rejects(load(lines), (error) => error instanceof ConfigurationError && told.test(error.message), lines)
})
