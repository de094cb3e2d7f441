import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { existsSync, readFileSync } from 'node:fs'
import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import type { TestContext } from 'node:test'
import { fileURLToPath } from 'node:url'

import type { Filter } from '../../shared/config/model.ts'
import type { FilterSettings } from '../../shared/filter-host/settings.ts'
import { replies } from '../../shared/mail/reply.ts'
import { SmtpClient } from '../../test/support/smtp-client.ts'
import { inlineMap, startInbound, testPipeline } from './testing.ts'
import type { TestInbound, TestInboundOptions } from './testing.ts'

const at = { file: 'smtpd.conf', line: 1, column: 1 } as const
const content = 'From: a@example.net\r\nSubject: x\r\n\r\nHello\r\n..dot\r\n'
const script = fileURLToPath(new URL('../../shared/filter-host/testing-filter.ts', import.meta.url))
const oracle = fileURLToPath(new URL('../../../shared/oracles/smtpdconf/filters/', import.meta.url))
const withoutOracle = existsSync(oracle) ? false : `the oracle data is not there: ${oracle}`
const unpacked = process.env['SLUICE_FILTERS'] ?? ''
const withoutDebian = existsSync(join(unpacked, 'usr/libexec/opensmtpd/filter-senderscore'))
  ? false
  : 'SLUICE_FILTERS names no folder with the unpacked packages opensmtpd-filter-senderscore, -dkimsign and libopensmtpd0'

function processFilter(name: string, command: string): Filter {
  return { kind: 'process', name, process: { name, command, at }, at }
}

function testFilter(trace = '-', mode = 'sound', name = 'test'): Filter {
  return processFilter(name, `${process.execPath} --import ${import.meta.resolve('tsx')} ${script} ${trace} ${mode}`)
}

async function start(
  t: TestContext,
  filters: readonly Filter[],
  settings: Partial<FilterSettings> = {},
  options: TestInboundOptions = {},
): Promise<TestInbound> {
  const inbound = await startInbound({
    ...options,
    listener: { filters, ...options.listener },
    filterSettings: () => ({ restartMs: 60_000, ...settings }),
  })
  t.after(() => inbound.close())
  return inbound
}

async function connected(t: TestContext, inbound: TestInbound): Promise<SmtpClient> {
  const client = await SmtpClient.ready({ port: inbound.port, timeoutMs: 20_000 })
  t.after(() => client.destroy())
  return client
}

const message = { from: 'a@example.net', to: ['jane@example.org'], content } as const

test('a message goes through the filters line by line, ours on top, and is stored as the last one gives it', async (t) => {
  const inbound = await start(t, [testFilter(), testFilter('-', 'sound', 'second')])
  const client = await connected(t, inbound)
  assert.equal((await client.send(message)).code, 250)
  assert.equal((await client.send({ ...message, from: 'junk@example.net' })).code, 250)
  const [first, second] = inbound.accepted.map((one) => one.message)
  assert.match(
    first ?? '',
    /^Received: from client\.test [^]*\r\nFrom: a@example\.net\r\nSubject: \[checked\] \[checked\] x\r\n\r\nHello\r\n\.\.dot\r\n$/,
  )
  assert.match(second ?? '', /^X-Spam: Yes\r\nReceived: /)
  assert.equal(first?.match(/Received:/g)?.length, 1)
})

test('rules for lines see the message as the filters leave it', async (t) => {
  const rule = { expression: '^hello$', action: { kind: 'replace', line: 'good-bye' } } as const
  const bad = { expression: '^bad$', action: { kind: 'reject', text: '550 5.7.1 no' } } as const
  const contentRules = {
    mimeHeader: [],
    nestedHeader: [],
    body: [rule, bad].map((one) => ({ at, ...one })),
    bodyBytes: 51_200,
  }
  const options = { configuration: { pipeline: { ...testPipeline, contentRules } } }
  const inbound = await start(t, [testFilter()], {}, options)
  const client = await connected(t, inbound)
  assert.equal((await client.send(message)).code, 250)
  assert.match(inbound.accepted[0]?.content ?? '', /Subject: \[checked\] x\r\n\r\ngood-bye\r\n\.\.dot\r\n$/)
  assert.equal((await client.send({ ...message, content: 'Subject: x\r\n\r\nbad\r\n' })).raw, '550 5.7.1 no')
})

test('pipeline.conf says what happens when a filter is silent', async (t) => {
  for (const [onFailure, code] of [
    ['proceed', 250],
    ['tempfail', 451],
  ] as const) {
    const settings = new Map([['test', { protocol: '0.7', timeoutMs: 3_000, onFailure }]])
    const pipeline = { ...testPipeline, filters: settings } as never
    const inbound = await startInbound({
      listener: { filters: [testFilter('-', 'hang')] },
      configuration: { pipeline },
    })
    t.after(() => inbound.close())
    const client = await connected(t, inbound)
    assert.equal((await client.command('MAIL FROM:<hang@example.net>')).code, code)
  }
})

test('a filter runs as the user smtpd.conf names', { skip: process.getuid?.() !== 0 && 'needs root' }, async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'sluice-user-'))
  t.after(() => rm(folder, { recursive: true }))
  await chmod(folder, 0o777)
  const command = join(folder, 'who')
  const lines = ['#!/bin/sh', `id -un >${command}.out`, 'echo "register|ready"', 'cat >/dev/null', '']
  await writeFile(command, lines.join('\n'), { mode: 0o755 })
  const who = { name: 'who', command, user: 'nobody', at }
  await start(t, [{ kind: 'process', name: 'who', process: who, at }])
  assert.equal(await readFile(`${command}.out`, 'utf8'), 'nobody\n')
})

test('sessions wait for the filter each on its own', async (t) => {
  const inbound = await start(t, [testFilter('-', 'hang')], { timeoutMs: 20_000 })
  const [stuck, other] = [await connected(t, inbound), await connected(t, inbound)]
  stuck.write('MAIL FROM:<hang@example.net>\r\n')
  assert.equal((await other.send(message)).code, 250)
})

test('a filter that does not answer in time is a temporary failure for that session', async (t) => {
  const inbound = await start(t, [testFilter('-', 'hang')], { timeoutMs: 3_000 })
  const client = await connected(t, inbound)
  assert.match((await client.command('MAIL FROM:<hang@example.net>')).raw, /^451 4\.3\.0 /)
  assert.match((await client.command('MAIL FROM:<a@example.net>')).raw, /^451 4\.3\.0 /)
})

test('a filter that never gets ready holds mail back, and nothing else', async (t) => {
  const inbound = await start(t, [testFilter('-', 'unready')], { timeoutMs: 1_000 })
  const client = await connected(t, inbound)
  assert.match((await client.command('MAIL FROM:<a@example.net>')).raw, /^451 4\.3\.0 /)
  assert.equal((await client.command('NOOP')).code, 250)
})

test('a filter that dies fails its sessions at once, and mail goes on when its operator says so', async (t) => {
  for (const mode of ['die', 'noise']) {
    const from = `${mode}@example.net`
    const strict = await connected(t, await start(t, [testFilter('-', mode)]))
    assert.match((await strict.command(`MAIL FROM:<${from}>`)).raw, /^451 /, mode)
    const lenient = await start(t, [testFilter('-', mode)], { onFailure: 'proceed' })
    const client = await connected(t, lenient)
    assert.equal((await client.send({ ...message, from })).code, 250, mode)
    assert.match(lenient.accepted[0]?.message ?? '', /^Received: [^]*\r\nSubject: x\r\n/)
  }
})

test('a filter that died is started again, for sessions that begin then', async (t) => {
  const inbound = await start(t, [testFilter('-', 'die')], { restartMs: 1 })
  const first = await connected(t, inbound)
  assert.equal((await first.command('MAIL FROM:<die@example.net>')).code, 451)
  for (;;) {
    const client = await connected(t, inbound)
    const { code } = await client.send(message)
    await client.quit()
    if (code === 250) break
  }
  assert.equal((await first.command('MAIL FROM:<a@example.net>')).code, 451)
  assert.match(inbound.accepted[0]?.message ?? '', /\[checked\]/)
})

test('a filter that never ends a message hangs no session', async (t) => {
  const inbound = await start(t, [testFilter('-', 'double-dots')], { dataTimeoutMs: 500 })
  const client = await connected(t, inbound)
  assert.match((await client.send(message)).raw, /^451 4\.3\.0 /)
  assert.equal(inbound.aborted(), 1)
  assert.equal((await (await connected(t, inbound)).command('NOOP')).code, 250)
})

test('what a filter decides is carried out, and what it reports is told to the operator', async (t) => {
  const inbound = await start(t, [testFilter()])
  const client = await connected(t, inbound)
  assert.equal((await client.command('MAIL FROM:<report@example.net>')).code, 250)
  assert.equal((await client.command('RCPT TO:<reject@example.org>')).raw, '550 5.7.1 not that one | really')
  assert.equal(inbound.filterReports[0]?.text, 'seen report@example.net')
})

test('a session is told to its filter as OpenSMTPD 7.8 tells it', { skip: withoutOracle }, async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'sluice-filter-'))
  t.after(() => rm(folder, { recursive: true }))
  const trace = join(folder, 'trace')
  const builtin: Filter = {
    kind: 'builtin',
    name: 'norept',
    phase: 'rcpt-to',
    condition: {
      kind: 'rcpt-to',
      not: false,
      regex: false,
      table: { name: 't', source: { kind: 'inline', list: ['builtin@localhost'] }, at },
    },
    decision: { kind: 'reject', text: '550 5.7.1 builtin says no' },
    at,
  }
  const hash = '$5$rounds=1000$testsalt$ostqQPLN6R9T.A/s7AkCrhncjxFX7jOkMWhCh1.OUm8'
  const inbound = await start(
    t,
    [builtin, testFilter(trace)],
    {},
    {
      listener: { tls: 'offered', auth: { kind: 'optional', table: inlineMap('creds', { joe: hash }) } },
      resolveRecipient: (_, mailbox) =>
        Promise.resolve(
          mailbox.endsWith('@other.net')
            ? { kind: 'rejected', reply: replies.invalidRecipient }
            : { kind: 'accepted', recipients: [{ mailbox }] },
        ),
    },
  )
  const sessions = readFileSync(`${oracle}client.txt`, 'latin1')
    .split(/^S: 220 .*ESMTP.*\n/m)
    .slice(1, 4)
  for (const session of sessions) await replay(t, inbound, session)
  await inbound.close()
  const [ours, theirs] = [await readFile(trace, 'latin1'), readFileSync(`${oracle}lines.txt`, 'latin1')]
  const sent = theirs.replaceAll(/^<- .*\n/gm, '').replaceAll(/^-> /gm, '')
  assert.deepEqual(normal(ours), normal(sent))
})

/** What the client of the oracle says, but for the MAIL that OpenSMTPD takes for a syntax error (SMTPD_CONF 18.4). */
async function replay(t: TestContext, inbound: TestInbound, session: string): Promise<void> {
  const client = await SmtpClient.connect({ port: inbound.port, timeoutMs: 20_000 })
  t.after(() => client.destroy())
  await client.reply()
  for (const line of session.split('\n').flatMap((one) => (one.startsWith('C: ') ? [one.slice(3)] : []))) {
    if (line.includes('report@')) continue
    if (line === 'STARTTLS') await client.startTls()
    else if (line === 'QUIT') await client.command(line)
    else if (line.startsWith("'")) {
      client.write(line.slice(1, -1).replaceAll(String.raw`\r\n`, '\r\n'))
      await client.reply()
    } else await client.command(line)
  }
  const ended = inbound.nextEvent('disconnected')
  client.destroy()
  await ended
}

/**
 * Ids become numbers; times, ports, sizes, versions and the texts of replies go, as do the fields of Received, and the one
 * MAIL; a recipient given twice is one envelope here. Data lines stand apart: their order among the events is not promised.
 */
function normal(trace: string): { readonly events: readonly string[]; readonly lines: readonly string[] } {
  const ids = new Map<string, string>()
  const known = (id: string): string => {
    const number = ids.get(id) ?? `#${ids.size}`
    ids.set(id, number)
    return number
  }
  const shown = trace
    .split('\n')
    .filter((line) => line !== '' && !line.includes('report@') && !line.includes('553 5.1.0'))
    .filter((line) => !line.startsWith('config|smtpd-version'))
    .map((line) =>
      line
        .replace(/(\|protocol-server\|[^|]*\|\d{3}.).*/, '$1')
        .replace(/^((?:report|filter)\|0\.7)\|\d+\.\d{6}/, '$1')
        .replace(/(?<=\|tx-envelope\|.*)\b([0-9a-f]{8})[0-9a-f]{8}$/, (_, id: string) => `${id}+`)
        .replaceAll(/\b(?:[0-9a-f]{16}|[0-9a-f]{8})\b/g, known)
        .replaceAll(/(127\.0\.0\.1):\d+/g, '$1')
        .replace(/(\|tx-commit\|.*\|)\d+$/, '$1')
        .replace(/PLAIN .*/, 'PLAIN ********')
        .replaceAll(/mx\.sluice\.test|mail\.exem\.pl$/g, 'host'),
    )
  const isLine = (line: string): boolean => line.includes('|data-line|')
  return {
    events: shown.filter((line, index) => {
      const goesOn = line.includes('|protocol-server|') && line.endsWith('-')
      const again = line.includes('|tx-envelope|') && shown[index - 1]?.endsWith('|rewrite|<joe@localhost>')
      return !isLine(line) && !goesOn && again !== true
    }),
    lines: shown.filter((line) => isLine(line) && !/\|(?:Received: |\t)/.test(line)),
  }
}

test("Debian's filters run as they are", { skip: withoutDebian }, async (t) => {
  const folder = join(unpacked, 'usr/libexec/opensmtpd')
  const keys = await mkdtemp(join(tmpdir(), 'sluice-dkim-'))
  t.after(() => rm(keys, { recursive: true }))
  const key = join(keys, 'main.pem')
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 1024 })
  await writeFile(key, privateKey.export({ type: 'pkcs1', format: 'pem' }))
  const library = join(unpacked, 'usr/lib/x86_64-linux-gnu')
  const senderscore = processFilter('senderscore', `${folder}/filter-senderscore -blockBelow 10`)
  const dkimsign = processFilter(
    'dkimsign',
    `/usr/bin/env LD_LIBRARY_PATH=${library} ${folder}/filter-dkimsign -d example.org -s main -k ${key}`,
  )
  for (const protocol of ['0.5', '0.6', '0.7'] as const) {
    const inbound = await start(t, [senderscore, dkimsign], { protocol, timeoutMs: 10_000 })
    const [one, other] = [await connected(t, inbound), await connected(t, inbound)]
    const sent = await Promise.all([one.send(message), other.send(message)])
    assert.deepEqual(
      sent.map(({ code }) => code),
      [250, 250],
      protocol,
    )
    for (const { message: stored } of inbound.accepted)
      assert.match(stored, /^DKIM-Signature: [^]*\r\nReceived: [^]*\r\n\r\nHello\r\n\.\.dot\r\n$/)
    await Promise.all([one.quit(), other.quit()])
  }
})
