import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { test } from 'node:test'

import { zoneResolver } from '../restrictions/testing.ts'
import { selfSignedCertificate } from '../start/self-signed.ts'
import { postReport } from './post-report.ts'

const { signal } = new AbortController()

test('a collector gets the report over TLS that proves its name, and 2xx alone means taken', async (t) => {
  const pem = await selfSignedCertificate('collector.test')
  const got: (readonly [string | undefined, string | undefined, string])[] = []
  const server = createServer(pem, (request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      got.push([request.method, request.headers['content-type'], Buffer.concat(chunks).toString()])
      const code = request.url === '/taken' ? 201 : request.url === '/moved' ? 307 : 500
      response.writeHead(code, { location: '/taken' }).end()
    })
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => server.close())
  const { port } = server.address() as AddressInfo
  const resolver = zoneResolver({ 'a collector.test': ['127.0.0.1'], 'a other.test': ['127.0.0.1'] })
  const options = { resolver, signal, ca: pem.cert }
  const body = Buffer.from('report')
  await postReport(`https://collector.test:${port}/taken`, 'application/tlsrpt+gzip', body, options)
  assert.deepEqual(got, [['POST', 'application/tlsrpt+gzip', 'report']])
  const refused = (uri: string, why: RegExp, more: object = {}) =>
    assert.rejects(postReport(uri, 'x/y', body, { ...options, ...more }), why)
  await refused(`https://collector.test:${port}/full`, /answered 500/)
  await refused(`https://collector.test:${port}/moved`, /answered 307/)
  await refused(`https://other.test:${port}/taken`, /altnames|Hostname/)
  await refused(`https://collector.test:${port}/taken`, /self-signed/, { ca: undefined })
  await refused(`https://nobody.test:${port}/taken`, /nobody\.test has no address/)
  assert.equal(got.length, 3)
})
