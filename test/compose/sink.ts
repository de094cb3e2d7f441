import { startMailSink } from '../support/mail-sink.ts'

/** Runs in a container of its own: a mail server that takes everything, and tells each message in a line of JSON. */
const sink = await startMailSink({ host: '0.0.0.0', port: 25, name: 'mx.elsewhere.test' })
const longestMs = 2 ** 31 - 1

for (let told = 0; ; told++) {
  const message = (await sink.waitForMessages(told + 1, longestMs))[told]
  if (message === undefined) continue
  const { id, from, recipients, content } = message
  console.log(JSON.stringify({ id, from, recipients, content: content.toString('base64') }))
}
