import assert from 'node:assert/strict'
import { test } from 'node:test'

import type { Mailbox } from '../mail/address.ts'
import { noCapabilities, parseCapabilities } from './capabilities.ts'
import type { Capabilities } from './capabilities.ts'
import { commandLine, mailCommand, rcptCommand } from './commands.ts'

const all: Capabilities = { ...noCapabilities, size: true, eightBitMime: true, smtpUtf8: true, dsn: true }
const mail = {
  reversePath: 'a@b.example' as Mailbox,
  sizeBytes: 42,
  eightBit: true,
  smtpUtf8: true,
  dsn: { ret: 'hdrs', envid: 'x+2B' } as const,
}
const recipient = { address: 'c@d.example', notify: ['success', 'failure'], orcpt: 'rfc822;c@d.example' } as const

test('parameters are given to a server that offers them', () => {
  assert.equal(mailCommand(mail, all), 'MAIL FROM:<a@b.example> SIZE=42 BODY=8BITMIME SMTPUTF8 RET=HDRS ENVID=x+2B\r\n')
  assert.equal(rcptCommand(recipient, all), 'RCPT TO:<c@d.example> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;c@d.example\r\n')
})

test('parameters are not given to a server that does not', () => {
  assert.equal(mailCommand({ ...mail, reversePath: null }, noCapabilities), 'MAIL FROM:<>\r\n')
  assert.equal(rcptCommand(recipient, noCapabilities), 'RCPT TO:<c@d.example>\r\n')
})

test('an address can never smuggle a second command', () => {
  for (const text of ['RCPT TO:<a\r\nDATA>', 'RCPT TO:<a\n>', 'RCPT TO:<a\0>'])
    assert.throws(() => commandLine(text), RangeError)
})

test('the answer to EHLO is read without case, with the old AUTH= form and a SIZE of none', () => {
  const offered = parseCapabilities({
    code: 250,
    text: 'mx.example.org hello\npipelining\nSIZE 1000\n8BITMIME\nStartTLS\nAUTH PLAIN\nAUTH=LOGIN\nDSN\nSMTPUTF8',
  })
  assert.deepEqual(offered, {
    pipelining: true,
    startTls: true,
    eightBitMime: true,
    smtpUtf8: true,
    dsn: true,
    requireTls: false,
    size: true,
    maxSizeBytes: 1000,
    auth: new Set(['PLAIN', 'LOGIN']),
  })
  assert.equal(parseCapabilities({ code: 250, text: 'x\nSIZE 0' }).maxSizeBytes, undefined)
  assert.equal(parseCapabilities({ code: 250, text: 'PIPELINING' }).pipelining, false, 'the first line is a name')
})
