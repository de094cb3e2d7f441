import assert from 'node:assert/strict'
import { test } from 'node:test'

import type { SpamList } from '../../../shared/config/model.ts'
import { openTables } from '../../../shared/config/tables.ts'
import type { ScanSymbol } from '../engine.ts'
import { listTable, stageMessage, testEnvelope, zoneResolver } from '../testing.ts'
import type { Zone } from '../testing.ts'
import { createListsEngine } from './engine.ts'

async function symbolsOf(
  content: string,
  lists: readonly SpamList[],
  zone: Zone,
): Promise<{ readonly symbols: readonly ScanSymbol[]; readonly asked: readonly string[] }> {
  const resolver = zoneResolver(zone)
  const engine = createListsEngine({ lists, resolver, tables: openTables(), threads: 1 })
  const { stored, sizeBytes, envelope } = stageMessage(Buffer.from(content), testEnvelope())
  const message = {
    envelope,
    sizeBytes,
    header: Buffer.alloc(0),
    received: Buffer.alloc(0),
    content: () => stored.content(),
    stream: () => stored.stream(),
  }
  const { symbols, score, status } = await engine.scan(message, new AbortController().signal)
  await engine.close()
  assert.equal(status, 'ok')
  assert.equal(
    score,
    symbols.reduce((sum, one) => sum + one.score, 0),
  )
  return { symbols, asked: resolver.asked }
}

const client: SpamList = { of: 'client', zone: 'bl.example', score: 3 }
const links: SpamList = { of: 'links', zone: 'dbl.example', score: 2.5 }

test('a client on a list gets its score, one that is not gets none, and good lists count below zero', async () => {
  const zone = { 'a 7.2.0.192.bl.example': ['127.0.0.2'], 'a 7.2.0.192.wl.example': ['127.0.0.1'] }
  const good: SpamList = { of: 'client', zone: 'wl.example', score: -2 }
  assert.deepEqual((await symbolsOf('\r\n', [client, good], zone)).symbols, [
    { name: 'BL_EXAMPLE', score: 3, text: '192.0.2.7 in bl.example' },
    { name: 'WL_EXAMPLE', score: -2, text: '192.0.2.7 in wl.example' },
  ])
  assert.deepEqual((await symbolsOf('\r\n', [client], {})).symbols, [])
})

test('only the answers that count do, a list that complains or fails lists nobody', async () => {
  const name = 'a 7.2.0.192.bl.example'
  const strict: SpamList = { ...client, answers: listTable('127.0.0.4/31') }
  for (const [list, records, count] of [
    [strict, ['127.0.0.2'], 0],
    [strict, ['127.0.0.2', '127.0.0.5'], 1],
    [client, ['127.255.255.254'], 0],
    [client, ['192.0.2.1'], 0],
    [client, 'fails', 0],
  ] as const)
    assert.equal((await symbolsOf('\r\n', [list], { [name]: records })).symbols.length, count, JSON.stringify(records))
})

test('domains that are linked to are asked for as they are registered, each once, wherever the link stands', async () => {
  const content = [
    'Content-Type: multipart/alternative; boundary=b',
    '',
    '--b',
    '',
    'see http://a.b.bad.co.uk/x and HTTPS://user@Bad.co.uk:8080/ or www.fine.example/y, http://192.0.2.66/',
    '--b',
    'Content-Type: text/html',
    '',
    '<a href="https://x.evil.example/?http://c.example">y</a><img src="cid:1"><a href="mailto:a@d.example">',
    '--b--',
  ].join('\r\n')
  const { symbols, asked } = await symbolsOf(content, [links], {
    'a bad.co.uk.dbl.example': ['127.0.1.2'],
    'a evil.example.dbl.example': ['127.0.1.2'],
    'a 66.2.0.192.dbl.example': ['127.0.1.2'],
  })
  assert.deepEqual(asked.toSorted(), [
    'a 66.2.0.192.dbl.example',
    'a bad.co.uk.dbl.example',
    'a evil.example.dbl.example',
    'a fine.example.dbl.example',
  ])
  assert.deepEqual(symbols, [
    { name: 'DBL_EXAMPLE', score: 2.5, text: 'bad.co.uk, 66.2.0.192, evil.example in dbl.example' },
  ])
})

test('a message with thousands of links asks a few questions', async () => {
  const text = Array.from({ length: 2_000 }, (_one, number) => `http://host${number}.d${number}.example/`).join('\r\n')
  const { asked } = await symbolsOf(`\r\n${text}`, [links], {})
  assert.equal(asked.length, 20)
})

test('a long message is read in a thread, with the same result', async () => {
  const content = `Content-Type: text/plain\r\n\r\nsee http://www.bad.example/ ${'and more '.repeat(5_000)}`
  const { symbols } = await symbolsOf(content, [links], { 'a bad.example.dbl.example': ['127.0.1.2'] })
  assert.deepEqual(symbols, [{ name: 'DBL_EXAMPLE', score: 2.5, text: 'bad.example in dbl.example' }])
})
