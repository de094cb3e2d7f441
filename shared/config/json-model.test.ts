import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'

import { ConfigurationFiles } from './configuration-files.ts'
import { createLiveConfiguration } from './live-configuration.ts'
import { ConfigurationError, loadConfiguration } from './load.ts'
import { toJson } from './to-json.ts'

const folder = mkdtempSync(join(tmpdir(), 'json-model-'))
after(() => rmSync(folder, { recursive: true }))
const at = (name: string): string => join(folder, name)

async function printed(smtpd: string): Promise<string> {
  writeFileSync(at('smtpd.conf'), smtpd)
  const { configuration } = await loadConfiguration({ smtpdConf: at('smtpd.conf'), hostname: 'mail.example.org' })
  return JSON.stringify(toJson(configuration), undefined, 2)
}

async function loaded(json: string, pipelineConf?: string) {
  writeFileSync(at('model.json'), json)
  return loadConfiguration({
    smtpdConf: at('model.json'),
    ...(pipelineConf === undefined ? {} : { pipelineConf }),
  })
}

async function refusal(json: string, pipelineConf?: string): Promise<string> {
  try {
    await loaded(json, pipelineConf)
  } catch (error) {
    assert.ok(error instanceof ConfigurationError)
    return error.message
  }
  return assert.fail('it was accepted')
}

const conf = `
table aliases { "root" = "jane" }
listen on 127.0.0.1 port 2525 tag In
action "in" maildir alias <aliases>
action "out" relay
match from any for domain "example.org" action "in"
match for any action "out"
`

test('what a generator makes of the printed model is in force like the file it was printed of', async () => {
  const json = await printed(conf)
  const { configuration, warnings } = await loaded(json)
  assert.deepEqual(warnings, [])
  assert.equal(configuration.hostname, 'mail.example.org')
  const action = configuration.actions.get('in')
  assert.ok(action?.kind === 'local' && action.alias === configuration.tables.get('aliases'), 'one table, not two')
  const changed = await loaded(json.replaceAll('"example.org"', '"example.net"'))
  assert.match(JSON.stringify(toJson(changed.configuration)), /example\.net/)
  assert.notEqual(changed.configuration.revision, configuration.revision)
})

test('a mistake is named by its place in the model; the checks of the files hold for it, too', async () => {
  const json = await printed(conf)
  for (const [text, message] of [
    [json.replace('"port": 2525', '"port": "smtp"'), /configuration\.listeners\[0\]\.port/],
    [json.replace('"queueTtlMs"', '"queueTtl"'), /configuration\.queueTtlMs is missing/],
    [`${json}x`, /this is no JSON: /],
    [json.replace('"proxy": false', '"proxy": true'), /believes the address that a balancer tells/],
    ['{}', /configuration\.actions is missing/],
  ] as const)
    assert.match(await refusal(text), message)
  assert.match(await refusal(json, at('pipeline.conf')), /has the settings of pipeline\.conf in it/)
})

test('what the files of the configuration must have, the model must have: files that are there, a host name, keys', async () => {
  writeFileSync(at('cert'), '')
  const json = await printed(`pki x cert "${at('cert')}" key "${at('cert')}"\nca own cert "${at('cert')}"\n${conf}`)
  const { configuration } = await loaded(json)
  assert.equal(configuration.pkis.get('x')?.cert, at('cert'))
  const file = JSON.stringify(at('cert'))
  for (const [text, message] of [
    [json.replace(`"cert": ${file}`, '"cert": "/gone"'), /configuration\.pkis\.x\.cert, \/gone, is not there/],
    [json.replace(`"own": ${file}`, '"own": "/gone"'), /configuration\.cas\.own, \/gone, is not there/],
    [json.replace('"mtaSts"', '"tlsCa": "/gone", "mtaSts"'), /configuration\.pipeline\.tlsCa, \/gone, is not there/],
    [json.replace('"mail.example.org"', '"mail example"'), /"mail example" is not a host name/],
    [json.replace('"encryption": false', '"encryption": true'), /encryption needs a key/],
  ] as const)
    assert.match(await refusal(text), message)
})

test('a changed model is in force after a reload; a wrong one leaves the last in force', async () => {
  const json = await printed(conf)
  writeFileSync(at('model.json'), json)
  const files = new ConfigurationFiles({ smtpdConf: at('model.json') })
  const live = createLiveConfiguration(await files.load(), () => files.load())
  writeFileSync(at('model.json'), json.replaceAll('"example.org"', '"example.net"'))
  assert.equal((await live.reload()).kind, 'replaced')
  assert.match(JSON.stringify(toJson(live.current)), /example\.net/)
  writeFileSync(at('model.json'), '{"rules": []}')
  assert.equal((await live.reload()).kind, 'refused')
  assert.match(JSON.stringify(toJson(live.current)), /example\.net/)
})

test('hidden values are asked for, never used', async () => {
  const json = await printed(
    `pki x cert "/dev/null" key "/dev/null"\n${conf}table creds { "jane" = "$2b$10$abc" }\nlisten on 127.0.0.1 port 2587 tls-require pki x auth <creds>\nsrs key "secret"\n`,
  )
  assert.ok(!json.includes('secret"') && !json.includes('$2b$'))
  assert.match(await refusal(json), /is hidden in what was printed: put the values in/)
})
