import assert from 'node:assert/strict'
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import type { TestContext } from 'node:test'
import { fileURLToPath } from 'node:url'

import type { ExternalTable } from '../config/external-table.ts'
import type { Table } from '../config/model.ts'
import { settle } from '../config/settle.ts'
import { openTables, TableError } from '../config/tables.ts'
import { silentLog } from '../log.ts'
import { externalOpener } from './open-external.ts'
import { openProcessTable } from './process-table.ts'

const folder = mkdtempSync(join(tmpdir(), 'table-programs-'))
after(() => rmSync(folder, { recursive: true }))

const program = fileURLToPath(new URL('testing-table.ts', import.meta.url))
const loader = import.meta.resolve('tsx')

function script(name: string, text: string): string {
  const path = join(folder, name)
  writeFileSync(path, text)
  chmodSync(path, 0o755)
  return path
}

function opened(t: TestContext, entries: string, { mode = 'sound', timeoutMs = 60_000, restartMs = 1 } = {}) {
  const config = join(folder, `${t.name.replaceAll(/\W/g, '-')}.txt`)
  writeFileSync(config, entries)
  const run = `#!/bin/sh\nexec "${process.execPath}" --import "${loader}" "${program}" "$1" ${mode}\n`
  const path = script(`table-${mode}`, run)
  const table = openProcessTable({
    name: 'users',
    program: path,
    config,
    timeoutMs,
    // A loaded machine takes long to start a program.
    ...(mode === 'mute' ? {} : { greetingMs: 120_000 }),
    restartMs,
    log: silentLog(),
    now: Date.now,
  })
  t.after(() => table.close())
  return { table, config }
}

/** Waits for a table that is started again. */
async function sooner(table: ExternalTable, key: string): Promise<unknown> {
  for (;;) {
    try {
      return (await table.lookup('alias', key)).value
    } catch (error) {
      assert.match(String(error), /started again/)
      await new Promise((resolve) => setTimeout(resolve, 10))
    }
  }
}

test('a program answers look-ups, checks and fetches, many at a time', async (t) => {
  const { table } = opened(t, 'joe ann, |/bin/x\nslow #slow\n')
  const all = await Promise.all([
    table.lookup('alias', 'slow'),
    table.lookup('alias', 'joe'),
    table.lookup('alias', 'nobody'),
    table.check('domain', 'joe'),
    table.check('domain', 'nobody'),
  ])
  assert.deepEqual(
    all.map(({ value }) => value),
    ['late', 'ann, |/bin/x', undefined, '', undefined],
  )
  assert.deepEqual([await table.fetch('source'), await table.fetch('source')], [{ value: 'joe' }, { value: 'slow' }])
})

test('questions wait for a program that is slow to start', async (t) => {
  const { table } = opened(t, 'joe ann\n', { mode: 'slow' })
  assert.equal((await table.lookup('alias', 'joe')).value, 'ann')
})

test('update makes it read its source again', async (t) => {
  const { table, config } = opened(t, 'joe ann\n')
  assert.equal((await table.lookup('alias', 'joe')).value, 'ann')
  writeFileSync(config, 'joe eve\n')
  await table.update()
  assert.equal((await table.lookup('alias', 'joe')).value, 'eve')
})

test('an error it reports, and a service it does not have, are failures', async (t) => {
  const { table } = opened(t, 'joe #error\n')
  await assert.rejects(table.lookup('alias', 'joe'), /database is locked/)
  await assert.rejects(table.lookup('userinfo', 'joe'), /does not serve userinfo, only alias, domain, source/)
})

test('a program that crashes fails its open questions and is started again', async (t) => {
  const { table } = opened(t, 'slow #slow\ncrash #crash\njoe ann\n')
  await table.lookup('alias', 'joe')
  const answers = await Promise.allSettled([table.lookup('alias', 'slow'), table.lookup('alias', 'crash')])
  assert.deepEqual(
    answers.map((one) => one.status === 'rejected' && String(one.reason)),
    ['TableFailure: it ended with 3', 'TableFailure: it ended with 3'],
  )
  assert.equal(await sooner(table, 'joe'), 'ann')
})

test('a program that says what is not of the protocol is ended and started again', async (t) => {
  const { table } = opened(t, 'bad #garbage\njoe ann\n')
  await assert.rejects(table.lookup('alias', 'bad'), /said what it must not: hello there/)
  assert.equal(await sooner(table, 'joe'), 'ann')
})

test('one question without an answer fails alone, while others are answered', async (t) => {
  const { table } = opened(t, 'hang #hang\njoe ann\n', { timeoutMs: 4_000 })
  await table.lookup('alias', 'joe')
  const hanging = assert.rejects(table.lookup('alias', 'hang'), /did not answer in time/)
  assert.equal((await table.lookup('alias', 'joe')).value, 'ann')
  await hanging
  assert.equal((await table.lookup('alias', 'joe')).value, 'ann')
})

test('a program that hangs is ended and started again', async (t) => {
  const { table } = opened(t, 'hang #hang\njoe ann\n', { timeoutMs: 4_000 })
  await table.lookup('alias', 'joe')
  await assert.rejects(table.lookup('alias', 'hang'), /did not answer in time/)
  assert.equal(await sooner(table, 'joe'), 'ann')
})

test('a program that never says it is ready fails the questions', async (t) => {
  const { table } = opened(t, '', { mode: 'mute', timeoutMs: 50 })
  await assert.rejects(table.lookup('alias', 'joe'), /did not say register\|ready in time/)
})

test('a shell script is a table; a program that is gone is a temporary failure for the rules', async (t) => {
  const path = script(
    'table-sh',
    [
      '#!/bin/sh',
      'while IFS="|" read -r word version time name ask service id key; do',
      '  case "$word$version" in',
      '  configready) printf "register|domain\\nregister|ready\\n" ;;',
      '  table*) if test "$key" = a.org; then echo "check-result|$id|found"; else echo "check-result|$id|not-found"; fi ;;',
      '  esac',
      'done',
      '',
    ].join('\n'),
  )
  const at = { file: 'smtpd.conf', line: 1, column: 1 }
  const domains: Table = { name: 'domains', source: { kind: 'process', program: path }, at }
  const gone: Table = { name: 'gone', source: { kind: 'process', program: join(folder, 'nowhere') }, at }
  const tables = openTables({ external: externalOpener({ log: silentLog(), now: Date.now }) })
  t.after(() => tables.close())
  const ask = async (table: Table, host: string): Promise<boolean> =>
    settle(tables, (settled) => settled.matchesDomain(table, host))
  assert.deepEqual([await ask(domains, 'A.org'), await ask(domains, 'b.org')], [true, false])
  await assert.rejects(ask(gone, 'a.org'), (error) => error instanceof TableError && error.message.includes('gone'))
})
