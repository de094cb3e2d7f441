import assert from 'node:assert/strict'
import { test } from 'node:test'

import { SmtpTalk } from './smtp-talk.ts'

test('what a client says to sign in is not written down, also where it stands at the wrong place', () => {
  const secret = Buffer.from('\0jane\0secret').toString('base64').replaceAll('=', '')
  for (const [said, told] of [
    [`AUTH PLAIN ${secret}`, 'AUTH PLAIN ********'],
    [`auth  login ${secret}`, 'auth  login ********'],
    ['AUTH SCRAM-SHA-256', 'AUTH SCRAM-SHA-256'],
    [`AUTH ${secret}`, 'AUTH ********'],
    [`AUTH PLAIN=${secret}`, 'AUTH ********'],
    [`AUTH\tPLAIN ${secret}`, '(no command)'],
    [secret, '(no command)'],
    ['AUTH', 'AUTH'],
  ] as const) {
    const talk = new SmtpTalk()
    talk.client(said, false)
    assert.deepEqual(talk.lines(), [`C: ${told}`])
  }
})
