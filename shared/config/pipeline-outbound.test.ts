import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'

import { loadConfiguration, type LoadedConfiguration } from './load.ts'

const folder = mkdtempSync(join(tmpdir(), 'outbound-'))
after(() => rmSync(folder, { recursive: true }))

function load(...pipeline: readonly string[]): Promise<LoadedConfiguration> {
  const paths = { smtpdConf: join(folder, 'smtpd.conf'), pipelineConf: join(folder, 'pipeline.conf') }
  writeFileSync(
    paths.smtpdConf,
    'listen on 127.0.0.1 port 2525\naction "out" relay\nmatch from local for any action "out"\n',
  )
  writeFileSync(paths.pipelineConf, `${pipeline.join('\n')}\n`)
  return loadConfiguration({ ...paths, hostname: 'mail.example.org' })
}

test('DANE without a resolver that checks signatures is refused: its records would be anybody’s', async () => {
  await assert.rejects(load('dane opportunistic'), /only a resolver that checks signatures/)
  await assert.rejects(load('resolver "127.0.0.1"', 'dane opportunistic'), /only a resolver that checks signatures/)
  assert.equal((await load('resolver "127.0.0.1"', 'dane off')).configuration.pipeline.dane, 'off')
  const { configuration } = await load('dane opportunistic', 'resolver "127.0.0.1" validating')
  assert.equal(configuration.pipeline.dane, 'opportunistic')
})

test('`tls ca` and `tls minimum` are two statements, and the file must be there', async () => {
  const path = join(folder, 'authorities.pem')
  writeFileSync(path, 'any')
  const { pipeline } = (await load(`tls ca "${path}"`, 'tls minimum TLSv1.3')).configuration
  assert.deepEqual([pipeline.tlsCa, pipeline.tlsMinimum], [path, 'TLSv1.3'])
  assert.equal((await load()).configuration.pipeline.tlsCa, undefined)
  await assert.rejects(load('tls ca "/nonexistent.pem"'), /trusted authorities/)
  await assert.rejects(load('tls roots "/x"'), /"ca" behind "tls"/)
})

test('a key that seals is stated once, with all that a seal needs', async () => {
  writeFileSync(join(folder, 'seal.pem'), 'x')
  const seal = 'arc seal domain "Example.org" selector "main" key "./seal.pem"'
  assert.deepEqual((await load(seal)).configuration.pipeline.arcSeal, {
    domain: 'example.org',
    selector: 'main',
    keyFile: join(folder, 'seal.pem'),
    canonicalization: 'relaxed/relaxed',
  })
  assert.equal((await load()).configuration.pipeline.arcSeal, undefined)
  const faults: readonly (readonly [string, RegExp])[] = [
    ['arc', /"seal"|seal/],
    ['arc seal', /a seal needs a domain, a selector and a key/],
    ['arc seal domain "x.org" key "./seal.pem"', /a seal needs/],
    [`${seal} selector "b"`, /selector/],
    [`${seal} expire 21d`, /expire/],
    [`${seal}\n${seal}`, /arc/],
    ['arc seal domain "x.org" selector "a" key "./none.pem"', /none\.pem/],
    [`${seal}\nauth-results verify spf dkim`, /leaves it out/],
  ]
  for (const [text, fault] of faults) await assert.rejects(load(text), fault, text)
})

test('what a host without 8BITMIME gets can be chosen, beside the port, each once', async () => {
  const { pipeline } = (await load('relay port 2525', 'relay eight-bit convert-signed')).configuration
  assert.deepEqual([pipeline.relayPort, pipeline.relayEightBit], [2525, 'convert-signed'])
  assert.equal((await load()).configuration.pipeline.relayEightBit, 'convert')
  await assert.rejects(load('relay eight-bit return', 'relay eight-bit convert'), /stated already/)
  await assert.rejects(load('relay eight-bit maybe'), /what a host without 8BITMIME gets/)
  await assert.rejects(load('relay 8bit'), /"eight-bit"/)
})

test('encoding before signing is asked for in one word, once', async () => {
  assert.equal((await load()).configuration.pipeline.dkimSevenBit, false)
  assert.equal((await load('dkim seven-bit on')).configuration.pipeline.dkimSevenBit, true)
  await assert.rejects(load('dkim seven-bit on', 'dkim seven-bit off'), /stated already/)
  await assert.rejects(load('dkim seven-bit'), /on or off/)
})
