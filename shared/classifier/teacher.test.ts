import assert from 'node:assert/strict'
import { EventEmitter, once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import type { TestContext } from 'node:test'

import type { Logger } from '../log.ts'
import { silentLog } from '../log.ts'
import { editMessage } from '../mail/header-edit.ts'
import type { HeaderEdit } from '../mail/header-edit.ts'
import { newMessageId } from '../mail/message-id.ts'
import { safeReport } from '../mail/safe-report.ts'
import { classifierFiles, openClassifier } from './classifier.ts'
import { learn, readLearned } from './learned-mail.ts'
import { failsAuthentication, lessonIdOf, lessonOf } from './teach.ts'
import { createTeacher } from './teacher.ts'
import type { Teacher } from './teacher.ts'
import { exampleMail } from './testing.ts'

const school = { authservId: 'mx.example.org', subject: '[SPAM]' }

function open(t: TestContext, log: Logger = silentLog()): { readonly folder: string; readonly teacher: Teacher } {
  const folder = mkdtempSync(join(tmpdir(), 'teacher-'))
  const teacher = createTeacher({ dataFolder: folder, school: () => school, log })
  t.after(async () => {
    await teacher.close()
    rmSync(folder, { recursive: true })
  })
  return { folder, teacher }
}

test('a message is learned once, the other way round when somebody thinks better of it, and forgotten', async (t) => {
  const { folder, teacher } = open(t)
  const mail = exampleMail(1, 'spam')
  const marked = Buffer.from(mail.toString().replace('Subject: ', 'X-Spam-Flag: YES\r\nSubject: [SPAM] '))
  assert.equal(await teacher.teach(mail, 'spam'), 'learned')
  assert.equal(await teacher.teach(marked, 'spam'), 'known')
  assert.equal(await teacher.teach(marked, 'ham'), 'learned')
  const known = await readLearned(classifierFiles(folder).learned)
  assert.deepEqual(
    known.map(({ isSpam }) => isSpam),
    [false],
  )
  assert.equal(await teacher.forget(mail), true)
  assert.equal(await teacher.forget(mail), false)
  assert.deepEqual(await readLearned(classifierFiles(folder).learned), [])
})

test('nothing is learned of mail that failed authentication here, as ham or as spam', async (t) => {
  const { folder, teacher } = open(t)
  const results = (server: string, text: string): Buffer =>
    Buffer.concat([Buffer.from(`Authentication-Results: ${server};\r\n\t${text}\r\n`), exampleMail(1, 'ham')])
  for (const lesson of ['ham', 'spam'] as const) {
    assert.equal(await teacher.teach(results('mx.example.org', 'dmarc=fail header.from=a.example'), lesson), 'forged')
    assert.equal(await teacher.teach(results('mx.example.org', 'spf=fail smtp.mailfrom=a@b.example'), lesson), 'forged')
  }
  assert.deepEqual(await readLearned(classifierFiles(folder).learned), [])
  // Whoever sent it can write any other name than ours.
  assert.equal(await teacher.teach(results('mx.elsewhere.example', 'dmarc=fail'), 'ham'), 'learned')
})

test('forged is what DMARC fails, and what SPF fails while DMARC proves nothing', () => {
  const rows: readonly (readonly [string, boolean])[] = [
    ['spf=pass smtp.mailfrom=a@b.example; dmarc=fail header.from=c.example', true],
    ['spf=fail smtp.mailfrom=a@b.example; dkim=none; dmarc=none header.from=b.example', true],
    ['spf=fail smtp.mailfrom=list@b.example; dkim=pass header.d=c.example; dmarc=pass header.from=c.example', false],
    ['spf=softfail smtp.mailfrom=a@b.example; dkim=fail header.d=b.example; dmarc=none', false],
    ['spf=pass; dkim=pass; dmarc=pass', false],
    // What strangers write into the results is no result.
    ['spf=pass smtp.mailfrom=dmarc=fail@b.example; dkim=none; dmarc=none header.from=b.example', false],
    ['spf=fail smtp.mailfrom=dmarc=pass@b.example; dkim=none; dmarc=none header.from=b.example', true],
    ['spf=pass smtp.helo="x; dmarc=fail"; dkim=none; dmarc=none (dmarc=fail)', false],
    ['', false],
  ]
  for (const [results, isForged] of rows) assert.equal(failsAuthentication(results), isForged, results)
})

test('of junk that is attached to a report the message itself is learned, unless its sender was forged', () => {
  const content = exampleMail(1, 'spam')
  const end = content.indexOf('\r\n\r\n') + 4
  const attached = (...edits: readonly HeaderEdit[]): Buffer => {
    const report = safeReport(newMessageId(1_700_000_000_000), ['junk'])
    const { header, before, after } = editMessage(content.subarray(0, end), [report, ...edits])
    return Buffer.concat([header, before, content.subarray(end), after])
  }
  assert.notDeepEqual(attached(), content)
  assert.deepEqual(lessonOf(attached(), 'spam', school), lessonOf(content, 'spam', school))
  assert.equal(lessonIdOf(attached(), school), lessonIdOf(content, school))
  const results = `Authentication-Results: ${school.authservId};\r\n\tdmarc=fail header.from=b.example\r\n`
  assert.equal(lessonOf(attached({ kind: 'prepend', fields: results }), 'spam', school), 'forged')
})

test('a model of what was learned is made in a thread of its own, and is in force without a restart', async (t) => {
  const told = new EventEmitter()
  const { folder, teacher } = open(t, { ...silentLog(), info: (fields) => void told.emit('line', fields) })
  const lessons = (['ham', 'spam'] as const).flatMap((kind) =>
    Array.from({ length: 120 }, (_one, number) => lessonOf(exampleMail(number, kind), kind, school)),
  )
  await learn(
    classifierFiles(folder).learned,
    lessons.filter((one) => one !== 'forged'),
  )
  const trained = once(told, 'line')
  assert.equal(await teacher.teach(exampleMail(500, 'spam'), 'spam'), 'learned')
  const [{ model }] = (await trained) as [{ readonly model: string }]
  assert.match(model, /^site-[0-9a-f]{8}$/)
  assert.equal((await openClassifier(folder, Date.now).model()).version, model)
})
