import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'

import { ConfigurationError, loadConfiguration } from './load.ts'
import type { Configuration } from './model.ts'

const folder = mkdtempSync(join(tmpdir(), 'delivery-'))
after(() => rmSync(folder, { recursive: true }))

async function load(smtpd: string, pipeline: string): Promise<Configuration> {
  const paths = { smtpdConf: join(folder, 'smtpd.conf'), pipelineConf: join(folder, 'pipeline.conf') }
  writeFileSync(paths.smtpdConf, smtpd)
  writeFileSync(paths.pipelineConf, `${pipeline}\nusers from any\n`)
  return (await loadConfiguration({ ...paths, hostname: 'mail.example.org' })).configuration
}

/** Line and text of each error. */
async function faults(smtpd: string, pipeline = ''): Promise<readonly string[]> {
  try {
    await load(smtpd, pipeline)
    return []
  } catch (error) {
    if (!(error instanceof ConfigurationError)) throw error
    const errors = error.diagnostics.filter((one) => one.severity === 'error')
    return errors.map(({ code, message, hint, span }) => `${span.line} ${code}: ${message}; ${hint ?? ''}`)
  }
}

test('mbox needs a folder of mailboxes, in both grammars', async () => {
  const needs =
    '1 incomplete: mbox has no folder of mailboxes; declare it in pipeline.conf: mbox "/var/mail"; or use lmtp or maildir'
  for (const text of ['action "a" mbox\nmatch for any action "a"\n', 'accept for any deliver to mbox\n']) {
    assert.deepEqual(await faults(text), [needs])
    assert.equal((await load(text, 'mbox "/var/mail"')).pipeline.mailboxes, '/var/mail')
  }
})
