import assert from 'node:assert/strict'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'

import { openAudit } from '../../shared/audit.ts'
import { systemClock } from '../../shared/clock.ts'
import { silentLog } from '../../shared/log.ts'
import { commands } from './commands.ts'
import { keptCommands } from './kept-commands.ts'
import { runTrimmed } from './testing.ts'

/** They look, or make something that changes nothing by itself; runs and limits keep what they do themselves; the URL of a webhook may hold a key. */
const others: ReadonlySet<string> = new Set(
  `mailq, find, trace, events, audit, spool cat, config, convert, explain, dry-run, scan, preflight, doctor, check,
  learn ham, learn spam, learn forget, learn train, dkim record, send, reload, reports send, encrypt, auth test, token, init,
  completion, bulk resume, bulk cancel, limit, webhook test`.split(/,\s+/),
)
const isLook = (words: string): boolean => /^show | (?:list|status|query|check)$/.test(words)

test('what a command changes is in the audit log, or it is said why not', () => {
  const all = commands.map(({ words }) => words.join(' '))
  assert.deepEqual(
    all.filter((words) => keptCommands.has(words) === (others.has(words) || isLook(words))),
    [],
  )
  assert.deepEqual(
    [...keptCommands].filter((words) => !all.includes(words)),
    [],
  )
})

test('the audit log has who did what at the command line, and what was refused', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'sluice-kept-'))
  t.after(() => rm(folder, { recursive: true }))
  const smtpdConf = join(folder, 'smtpd.conf')
  await writeFile(smtpdConf, 'listen on lo port 2525\naction "out" relay\nmatch for any action "out"\n')
  const ctl = (...args: readonly string[]) => runTrimmed([...args, '-d', folder, '-f', smtpdConf], {})
  await ctl('block', 'add', 'a@b.test', 'jane@c.test')
  await mkdir(join(folder, 'events'))
  assert.equal((await ctl('block', 'add', 'win@lottery.test', 'jane@c.test')).code, 0)
  assert.equal((await ctl('block', 'remove', 'x@b.test', 'jane@c.test')).code, 1)
  assert.equal((await ctl('block', 'remove', 'x@b.test', 'jane@c.test', 'more')).code, 2)
  const audit = await openAudit(folder, { log: silentLog(), clock: systemClock })
  t.after(() => audit.close())
  const kept = await audit.last(9)
  assert.deepEqual(
    kept.map(({ from, action, about, outcome, detail }) => [from, action, about, outcome, detail]),
    [
      ['this host', 'block remove', 'x@b.test jane@c.test', 'refused', 'x@b.test is not blocked'],
      ['this host', 'block add', 'win@lottery.test jane@c.test', 'done', undefined],
    ],
  )
  assert.match(kept[0]?.by ?? '', / \(sluicectl\)$/)
})
