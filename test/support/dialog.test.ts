import assert from 'node:assert/strict'
import { test } from 'node:test'

import { atEnd } from './at-end.ts'
import { parseDialog, runDialog } from './dialog.ts'
import { startMailSink } from './mail-sink.ts'

const good = `# guarantee: it works
S: 220 mx.remote.test ...
C: EHLO client.example
S: 250
has: PIPELINING
lacks: STARTTLS
C: MAIL FROM:<a@b.test>
C: RCPT TO:<c@d.test>
C: DATA
S: 250 2.1.0 Ok
S: 2xx 2.1.5 ...
S: 354
B: Subject: x\\r\\n\\r\\ny\\r\\n.\\r\\n
S: 250|550
C: QUIT
S: 221
CLOSE
`

test('a dialog that fits passes', async (t) => {
  const sink = await startMailSink()
  atEnd(t, () => sink.stop())
  await runDialog(parseDialog('good.txt', good), sink.port)
  assert.equal(sink.messages[0]?.content.toString(), 'Subject: x\r\n\r\ny\r\n')
})

test('a reply that does not fit fails with file, line, transcript and both texts', async (t) => {
  const sink = await startMailSink()
  atEnd(t, () => sink.stop())
  const dialog = parseDialog('bad.txt', 'S: 220\nC: EHLO x\nS: 250\nlacks: PIPELINING\n')
  await assert.rejects(runDialog(dialog, sink.port), /bad\.txt:4[\s\S]*C: "EHLO x\\r\\n"[\s\S]*lacks PIPELINING/)
  const other = parseDialog('other.txt', 'S: 220\nC: NOOP\nS: 550 5.7.1 ...\n')
  await assert.rejects(
    runDialog(other, sink.port),
    /other\.txt:3[\s\S]*expected: 550 5\.7\.1[\s\S]*got: +250 2\.0\.0 Ok/,
  )
})

test('a line that is none is named', () => {
  assert.throws(() => parseDialog('x.txt', 'S: 220\nhello\n'), /x\.txt:2/)
})
