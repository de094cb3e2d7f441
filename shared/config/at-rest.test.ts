import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'

import { loadConfiguration } from './load.ts'
import type { LoadedConfiguration } from './load.ts'
import { keepUntilNextStart } from './next-start.ts'
import { toJson } from './to-json.ts'

const folder = mkdtempSync(join(tmpdir(), 'sluice-at-rest-'))
after(() => rmSync(folder, { recursive: true }))
writeFileSync(join(folder, 'keys'), `${'a0'.repeat(32)}\n`)

const key = '0123456789abcdef0123456789abcdef'
const rules = {
  modern: 'listen on 127.0.0.1\naction "out" relay\nmatch for any action "out"\n',
  old: 'listen on 127.0.0.1\naccept for any relay\n',
}
const keyFile = 'spool "spool" key file "keys"'

for (const grammar of ['modern', 'old'] as const) {
  test(`compression and encryption are read, ${grammar} grammar`, async () => {
    const none = await load(rules[grammar])
    assert.deepEqual(none.configuration.atRest, { compression: false, encryption: false })
    const all = await load(`${rules[grammar]}queue compression\nqueue encryption\n`, keyFile)
    assert.deepEqual(all.configuration.atRest, { compression: true, encryption: true })
    assert.equal(all.configuration.pipeline.spool?.keyFile, join(folder, 'keys'))
    assert.deepEqual(codes(all), [])
  })

  test(`a key in smtpd.conf is taken with a warning and never printed, ${grammar} grammar`, async () => {
    const loaded = await load(`${rules[grammar]}queue encryption ${grammar === 'old' ? 'key ' : ''}"${key}"\n`)
    assert.deepEqual(loaded.configuration.atRest, { compression: false, encryption: true, key })
    assert.deepEqual(codes(loaded), ['portability'])
    assert.ok(!JSON.stringify(toJson(loaded.configuration)).includes(key))
  })

  const faults: readonly (readonly [string, RegExp])[] = [
    ['queue encryption', /needs a key[^]*key file/],
    ['queue encryption -', /no terminal[^]*key file/],
    ['queue encryption stdin', /no terminal[^]*key file/],
    ['queue encryption "short"', /32 characters/],
    ['queue encrypt', /encryption/],
    ['queue compression yes', /end of|line|yes/],
  ]
  for (const [text, expected] of faults) {
    test(`"${text}" is refused with what to write, ${grammar} grammar`, async () => {
      await assert.rejects(load(`${rules[grammar]}${text}\n`), expected)
    })
  }
}

test('compression in pipeline.conf is enough, and a key file that encrypts nothing is told', async () => {
  const loaded = await load(rules.modern, `${keyFile} compression`)
  assert.deepEqual(loaded.configuration.atRest, { compression: true, encryption: false })
  assert.deepEqual(codes(loaded), ['no-effect'])
})

test('a key file that is not there is a fault of its line', async () => {
  await assert.rejects(load(rules.modern, 'spool "spool" key file "nokeys"'), /the keys of the spool[^]*is not there/)
})

test('a switch waits for the next start', async () => {
  const running = await load(rules.modern)
  const next = keepUntilNextStart(await load(`${rules.modern}queue compression\n`), running.configuration)
  assert.deepEqual(next.configuration.atRest, { compression: false, encryption: false })
  assert.deepEqual(codes(next), ['next-start'])
})

function load(smtpd: string, pipeline = ''): Promise<LoadedConfiguration> {
  const paths = { smtpdConf: join(folder, 'smtpd.conf'), pipelineConf: join(folder, 'pipeline.conf') }
  writeFileSync(paths.smtpdConf, smtpd)
  writeFileSync(paths.pipelineConf, `${pipeline}\n`)
  return loadConfiguration({ ...paths, hostname: 'mail.example.org' })
}

function codes({ warnings }: LoadedConfiguration): readonly string[] {
  return warnings.map(({ code }) => code)
}
