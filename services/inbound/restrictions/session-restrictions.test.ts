import assert from 'node:assert/strict'
import { test } from 'node:test'

import type { Restriction, RestrictionRule } from '../../../shared/config/model.ts'
import { openTables } from '../../../shared/config/tables.ts'
import { silentLog } from '../../../shared/log.ts'
import type { Mailbox } from '../../../shared/mail/address.ts'
import { replies } from '../../../shared/mail/reply.ts'
import { restrictionLists } from '../../../shared/restrictions/restriction-lists.ts'
import { zoneResolver } from '../../../shared/restrictions/testing.ts'
import { testPipeline } from '../testing.ts'
import { sleepUnlessOver } from './open-restrictions.ts'
import { SessionRestrictions } from './session-restrictions.ts'

/** The restrictions of a session of a stranger, by rules of the list of RCPT. */
function open(...rules: readonly RestrictionRule[]): SessionRestrictions {
  const at = { file: 'pipeline.conf', line: 1, column: 1 }
  const restrictions: Restriction[] = rules.map((rule) => ({ stage: 'rcpt', rule, text: 'restrict', at }))
  const lists = restrictionLists({ pipeline: { ...testPipeline, restrictions } }, { on: 'lo', port: 25 })
  assert.ok(lists)
  const greylist = { waitMs: () => Promise.resolve(0) }
  const spfPasses = () => Promise.resolve(false)
  const means = { tables: openTables(), dns: zoneResolver({}), delimiter: '+', greylist, spfPasses, log: silentLog() }
  return new SessionRestrictions(
    {
      lists,
      means,
      isOwn: () => false,
      asStranger: () => Promise.resolve({ kind: 'rejected', reply: replies.relayDenied }),
      sleep: sleepUnlessOver,
    },
    {
      address: '192.0.2.1',
      forwarded: false,
      helo: 'mail.example.org',
      user: undefined,
      tls: undefined,
      certificate: undefined,
      clientName: () => Promise.resolve({ forward: 'fail' }),
    },
  )
}

function pathOf(address: string): { readonly text: string; readonly mailbox: Mailbox; readonly bare: false } {
  return { text: address, mailbox: address as Mailbox, bare: false }
}

test('who hangs up while it is made to wait is waited for no longer', async () => {
  const restrictions = open({ kind: 'sleep', ms: 60_000 })
  await restrictions.mail({ text: '', mailbox: null, bare: false })
  const answer = restrictions.rcpt(pathOf('a@example.org'))
  restrictions.close()
  assert.equal(await answer, undefined)
})

test('what was found out holds for one transaction, and not for the next', async () => {
  const restrictions = open({ kind: 'sender', fault: 'unlisted' }, { kind: 'pipelining' })
  await restrictions.mail(pathOf('b@example.org'))
  assert.equal(await restrictions.rcpt(pathOf('a@example.org')), undefined)
  restrictions.sawCommand('RCPT', false, () => true)
  assert.equal((await restrictions.rcpt(pathOf('a@example.org')))?.reply.code, 503)
})
