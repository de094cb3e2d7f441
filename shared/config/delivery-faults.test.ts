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

test('commands are run only where pipeline.conf says so, in both grammars', async () => {
  const off = '1 incomplete: commands are not run here; write `mda enable` in pipeline.conf; or use lmtp or maildir'
  const modern = 'action "a" mda "/bin/x %{sender}"\nmatch for any action "a"\n'
  for (const text of [modern, 'accept for any deliver to mda "/bin/x %{sender}" as joe\n']) {
    assert.deepEqual(await faults(text), [off])
    assert.deepEqual(await faults(text, 'mda disable'), [off])
    assert.equal((await load(text, 'mda enable')).pipeline.mda.enabled, true)
  }
})

test('a command that needs a shell is told with its line', async () => {
  const text = 'action "a" mda "/bin/x | /bin/y"\nmatch for any action "a"\n'
  const [fault] = await faults(text, 'mda enable')
  assert.match(fault ?? '', /^1 unsupported: commands are run without a shell, which "\|" would need; put/)
})

test('a wrapper stands around the command of an mda action and around nothing else', async () => {
  const rule = 'match for any action "a"\n'
  const wrapper = 'mda wrapper w "nice %{mda}"\n'
  const { actions } = await load(`${wrapper}action "a" mda "/bin/x" wrapper w\n${rule}`, 'mda enable')
  const action = actions.get('a')
  assert.deepEqual(action?.kind === 'local' ? action.wrapper : undefined, { name: 'w', command: 'nice %{mda}' })
  const [conflict] = await faults(`${wrapper}action "a" maildir wrapper w\n${rule}`, 'mda enable')
  assert.match(conflict ?? '', /^2 conflict: there is no command to wrap/)
  const [unknown] = await faults(`action "a" mda "/bin/x" wrapper w\n${rule}`, 'mda enable')
  assert.match(unknown ?? '', /^1 unknown-name: there is no wrapper "w"/)
})

test('the limits of commands take effect without a word, those of a process we do not have are warned about', async () => {
  const paths = { smtpdConf: join(folder, 'smtpd.conf'), hostname: 'mail.example.org' }
  const rule = 'action "a" relay\nmatch for any action "a"\n'
  for (const [text, codes] of [
    ['mda limit max-session 9 max-session-per-user 2', []],
    ['mda limit task-hiwat 9', ['no-effect']],
  ] as const) {
    writeFileSync(paths.smtpdConf, `${text}\n${rule}`)
    const { warnings } = await loadConfiguration(paths)
    assert.deepEqual(
      warnings.map((one) => one.code),
      codes,
    )
  }
})

test('forward-only needs something that can lead away', async () => {
  const text = (more = ''): string =>
    `table t { a = "b@x.org" }\naction "a" forward-only ${more}\nmatch for any action "a"\n`
  const [fault] = await faults(text())
  assert.match(fault ?? '', /^2 incomplete: forward-only has nothing/)
  assert.deepEqual(await faults(text('alias <t>')), [])
  assert.deepEqual(await faults(text(), 'forward files "/home"'), [])
})
