import { parseArgs } from 'node:util'

import { runArc } from './arc.ts'
import { runDkim } from './dkim.ts'
import { runDmarc } from './dmarc.ts'
import { runSpf } from './spf.ts'
import type { Outcome } from './suite.ts'

const usage = `usage: npm run check:suites -- [--spf FILE] [--dkim FOLDER] [--arc FILE] [--dmarc FOLDER]

Runs test suites of others, which are not in this repository, through the authentication engine, over DNS packets.
  --spf FILE     rfc7208-tests.yml of the SPF project (in the sources of pyspf)
  --dkim FOLDER  t of Mail::DKIM
  --arc FILE     arc-draft-validation-tests.yml of the ARC test suite (in Mail::DKIM's t/arc_test_suite)
  --dmarc FOLDER test/functional of Rspamd`

const { values } = parseArgs({
  options: { spf: { type: 'string' }, dkim: { type: 'string' }, arc: { type: 'string' }, dmarc: { type: 'string' } },
})
if (Object.keys(values).length === 0) {
  process.stderr.write(`${usage}\n`)
  process.exitCode = 2
}
if (values.spf !== undefined) tell('SPF', await runSpf(values.spf))
if (values.dkim !== undefined) {
  tell('DKIM with the short keys of its time', await runDkim(values.dkim, 512))
  tell('DKIM with keys of 1024 bits and more (RFC 8301)', await runDkim(values.dkim, 1024))
}
if (values.arc !== undefined) tell('ARC', await runArc(values.arc))
if (values.dmarc !== undefined) tell('DMARC', await runDmarc(values.dmarc))

function tell(suite: string, outcomes: readonly Outcome[]): void {
  const right = outcomes.filter(({ wanted, got }) => wanted.includes(got))
  process.stdout.write(`${suite}: ${right.length} of ${outcomes.length}\n`)
  for (const { name, wanted, got, note } of outcomes) {
    if (!wanted.includes(got)) process.stdout.write(`  ${name}: ${got}, not ${wanted.join(' or ')} (${note ?? ''})\n`)
    else if (suite === 'SPF' && note !== undefined) process.stdout.write(`  ${name}: ${note}\n`)
  }
}
