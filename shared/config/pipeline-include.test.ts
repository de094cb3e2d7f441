import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'

import { ConfigurationError, loadConfiguration } from './load.ts'

const folder = mkdtempSync(join(tmpdir(), 'sluice-include-'))
after(() => rmSync(folder, { recursive: true }))
const paths = { smtpdConf: join(folder, 'smtpd.conf'), pipelineConf: join(folder, 'pipeline.conf') }
writeFileSync(paths.smtpdConf, 'listen on lo port 25\naction "out" relay\nmatch for any action "out"\n')
writeFileSync(join(folder, 'virus.conf'), 'virus clamd "clamav:3310"\n')

/** The clamd that is asked, by what the environment says of profiles. */
async function clamdOf(profiles: string | undefined, statement = 'include "virus.conf" when virus in $profiles') {
  writeFileSync(paths.pipelineConf, `${statement}\nlog level debug\n`)
  const definitions = profiles === undefined ? {} : { profiles }
  const { configuration } = await loadConfiguration({ ...paths, hostname: 'h.example', definitions })
  assert.equal(configuration.pipeline.logLevel, 'debug')
  return configuration.pipeline.virus
}

test('a file is included when its name is one of a list from the environment, and is not missed otherwise', async () => {
  for (const profiles of ['virus', 'metrics,virus', 'virus, rspamd', '"virus"'])
    assert.notEqual(await clamdOf(profiles), undefined, profiles)
  for (const profiles of ['', 'metrics', 'virus-2', 'antivirus,metrics'])
    assert.equal(await clamdOf(profiles), undefined, profiles)
  assert.equal(await clamdOf('metrics', 'include "nowhere.conf" when virus in $profiles'), undefined)
  assert.notEqual(await clamdOf('', 'include "virus.conf"'), undefined)
})

test('a file may say what holds when the environment says nothing', async () => {
  const stated = 'profiles = ""\ninclude "virus.conf" when virus in $profiles'
  assert.equal(await clamdOf(undefined, stated), undefined)
  assert.notEqual(await clamdOf('virus', stated), undefined)
  assert.notEqual(await clamdOf(undefined, stated.replace('""', '"virus, rspamd"')), undefined)
})

test('what cannot be meant by a condition is refused', async () => {
  const rows: readonly (readonly [statement: string, message: RegExp])[] = [
    ['include "nowhere.conf" when virus in $profiles', /cannot read .*nowhere[.]conf/],
    ['include virus.conf when virus in $profiles', /in quotes/],
    ['include "virus.conf" if virus in $profiles', /expected the end of the line, found "if"/],
    ['include "virus.conf" when', /the name that is looked for/],
    ['include "virus.conf" when virus of $profiles', /expected "in"/],
    ['include "virus.conf" when virus in virus rspamd', /expected ","/],
    ['include "virus.conf" when virus in $nothing', /there is no macro "nothing"/],
  ]
  for (const [statement, message] of rows)
    await assert.rejects(
      clamdOf('virus', statement),
      (error) => error instanceof ConfigurationError && message.test(error.message),
      statement,
    )
})
