import { readFile } from 'node:fs/promises'
import { setTimeout as pause } from 'node:timers/promises'

import { startMailSink } from '../support/mail-sink.ts'
import { answerOf } from './manners.ts'
import { sampleAt } from './samples.ts'
import { sendSample } from './send-sample.ts'

/**
 * Everybody else of deploy/demo.yml: the mail servers of other domains on port 25, and people who write, for ever, one sample every DEMO_PAUSE_MS. What is
 * answered to each is a line on standard output.
 */
const pauseMs = Number(process.env['DEMO_PAUSE_MS'] ?? '4000')
const identity = '/identity/tls'
const inbound = { host: 'inbound', port: 2525, submissionPort: 2465 }

for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => process.exit(0))
const [key, cert] = [await readFile(`${identity}/key.pem`, 'utf8'), await readFile(`${identity}/cert.pem`, 'utf8')]
await startMailSink({
  host: '::',
  port: 25,
  name: 'mx.example',
  tls: { key, cert },
  keep: 'nothing',
  respond: answerOf,
})
for (let number = 0; ; number += 1) {
  const sample = sampleAt(number, Date.now())
  const answer = await sendSample(sample, inbound).catch((error: unknown) => (error as Error).message)
  console.log(`${sample.what}: ${answer}`)
  await pause(pauseMs)
}
