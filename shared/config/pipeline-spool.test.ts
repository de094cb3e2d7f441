import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'

import { ConfigurationError, loadConfiguration } from './load.ts'
import type { PipelineSettings } from './model.ts'

const folder = mkdtempSync(join(tmpdir(), 'spool-'))
after(() => rmSync(folder, { recursive: true }))

async function load(pipeline: string): Promise<PipelineSettings['spool']> {
  const paths = { smtpdConf: join(folder, 'smtpd.conf'), pipelineConf: join(folder, 'pipeline.conf') }
  writeFileSync(paths.smtpdConf, 'listen on lo port 25\naction "out" relay\nmatch for any action "out"\n')
  writeFileSync(paths.pipelineConf, pipeline)
  return (await loadConfiguration({ ...paths, hostname: 'mail.example.org' })).configuration.pipeline.spool
}

test('a spool lies in a folder or in a bucket', async () => {
  assert.deepEqual(await load('spool "mail" quota 1G'), {
    path: join(folder, 'mail'),
    compression: false,
    quotaBytes: 1024 ** 3,
  })
  assert.deepEqual(await load('spool s3 "https://s3.example.org:9000/mail/of/mx" region "eu-1" cache 2G compression'), {
    compression: true,
    bucket: {
      url: 'https://s3.example.org:9000/mail/of/mx',
      endpoint: 'https://s3.example.org:9000',
      bucket: 'mail',
      prefix: 'of/mx/',
      region: 'eu-1',
      cacheBytes: 2 * 1024 ** 3,
    },
  })
  assert.deepEqual(await load('spool s3 "s3://my-mail" quota 5G cache folder "kept"'), {
    compression: false,
    quotaBytes: 5 * 1024 ** 3,
    bucket: {
      url: 's3://my-mail',
      bucket: 'my-mail',
      prefix: '',
      cacheBytes: 1024 ** 3,
      cachePath: join(folder, 'kept'),
    },
  })
})

const mistakes: Readonly<Record<string, RegExp>> = {
  'spool "s3://mail"': /is not a folder.*for a bucket write `spool s3 "s3:\/\/mail"`/s,
  'spool s3 "https://s3.example.org"': /is not the URL of a bucket/,
  'spool s3 "ftp://s3.example.org/mail"': /is not the URL of a bucket/,
  'spool s3 "https://s3.example.org/Mail"': /is not the URL of a bucket/,
  'spool s3 "https://s3.example.org/mail?x=y"': /is not the URL of a bucket/,
  'spool s3 "https://key:secret@s3.example.org/mail"': /keys must not stand in this file.*AWS_ACCESS_KEY_ID/s,
  'spool s3 "s3://mail" region "a b"': /is not the name of a region/,
  'spool s3 "s3://mail" cache': /size/,
  'spool s3 "s3://mail" prefix "x"': /expected region, cache, quota, compression or key/,
  'spool "/mail" region "eu-1"': /expected quota, compression or key/,
}

for (const [text, expected] of Object.entries(mistakes)) {
  test(`refused: ${text}`, async () => {
    await assert.rejects(load(text), (error) => {
      assert.ok(error instanceof ConfigurationError)
      assert.match(error.message, expected)
      return true
    })
  })
}
