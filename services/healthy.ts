import { hostname } from 'node:os'

import { deadAfterMs, readHeartbeats } from '../shared/heartbeat.ts'
import type { Heartbeat } from '../shared/heartbeat.ts'

/**
 * For health checks of containers, of the services of this host (a container has a name of its own): exit code 0 when it is so, else 1 with the
 * reason, one sentence a line; 64 for another word. The data folder is that of SLUICE_DATA.
 *
 *     healthy.js         they spoke of themselves lately, and none has a trouble
 *     healthy.js ready   they spoke, and lack nothing they need for their work: Redis (not where mail comes in), the spool
 *     healthy.js alive   they spoke; what is not so for long is best started anew
 */
const questions: Readonly<Record<string, (beat: Heartbeat) => readonly string[]>> = {
  healthy: ({ troubles }) => troubles,
  ready: ({ lacks = [] }) => lacks,
  alive: () => [],
}

const [word = 'healthy'] = process.argv.slice(2)
const question = questions[word]
if (question === undefined) {
  process.stdout.write(`healthy.js knows ${Object.keys(questions).join(', ')}, not '${word}'\n`)
  process.exitCode = 64
} else {
  const nowAt = Date.now()
  const beats = await readHeartbeats(process.env['SLUICE_DATA'] ?? 'var', nowAt)
  const mine = beats.filter(({ host, at }) => host === hostname() && nowAt - at <= deadAfterMs)
  const answers = mine.flatMap((beat) => question(beat).map((text) => `${beat.service}: ${text}`))
  if (mine.length === 0) answers.push('no service of this host is alive')
  for (const text of answers) process.stdout.write(`${text}\n`)
  process.exitCode = answers.length === 0 ? 0 : 1
}
