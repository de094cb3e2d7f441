import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'

import { eicar, eicarSignature } from '../support/clamd.ts'
import { idOf } from '../support/messages.ts'
import { eventually, missingEngine } from './engine.ts'
import { ComposeProject } from './project.ts'

const gtube = 'XJS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X'

/** With what `.env` says for further checks; images are built here of Debian's packages. */
class CheckedProject extends ComposeProject {
  protected override settings(): Readonly<Record<string, string>> {
    return {
      ...super.settings(),
      COMPOSE_PROFILES: 'virus,rspamd,spamassassin',
      CLAMAV_IMAGE: 'sluice-test-clamav:local',
      RSPAMD_IMAGE: 'sluice-test-rspamd:local',
      SPAMASSASSIN_IMAGE: 'sluice-test-spamassassin:local',
    }
  }
}

describe('COMPOSE_PROFILES=virus,rspamd,spamassassin in .env', { skip: missingEngine() }, () => {
  const project = new CheckedProject()
  before(async () => {
    await project.compose('build', '-q', 'clamav', 'rspamd', 'spamassassin')
    await project.build()
    // Signatures of the authority would be fetched, where there are none.
    const write = `printf %s '${eicarSignature}' > /var/lib/clamav/own.ndb`
    await project.compose('run', '--rm', '--no-deps', '--entrypoint', 'sh', 'clamav', '-c', write)
    await project.up('--no-build')
  })
  after(() => project.remove())

  /** Resolves when a search finds a message. */
  const finds = (query: string): Promise<unknown> =>
    eventually(
      () => project.ctl('find', query, '--json'),
      (found) => (JSON.parse(found) as { readonly messages: readonly unknown[] }).messages.length > 0,
      async () => `nothing is found by ${query}\n${await project.ctl('show', 'queue')}`,
    )

  test('each is asked about a message, without an edit of the configuration, and their scores are added', async () => {
    const id = idOf(await project.mail.send('junk', { body: gtube }))
    await project.mail.arrives(['junk'], 'Junk')
    const story = await project.ctl('trace', id)
    assert.match(story, /Rspamd: reject/)
    assert.match(story, /BODY: Generic Test for Unsolicited Bulk Email/, 'SpamAssassin')
    // Each process tells it every five seconds.
    await eventually(
      enginesAsked,
      (asked) => ['rspamd', 'spamassassin', 'clamd'].every((name) => asked.has(name)),
      (asked) => Promise.resolve(`of all engines these were asked: ${[...asked].join(' ')}`),
    )
  })

  /** Names of those that gave an answer, the last time too. */
  async function enginesAsked(): Promise<ReadonlySet<string>> {
    const { engines } = JSON.parse(await project.ctl('show', 'filters', '--json')) as {
      readonly engines: readonly { readonly name: string; readonly health: string; readonly answers: number }[]
    }
    return new Set(engines.filter(({ health, answers }) => health === 'good' && answers > 0).map(({ name }) => name))
  }

  test('a virus is held', async () => {
    await project.mail.send('virus', { body: eicar })
    await finds('status:held "Eicar-Test-Body"')
  })

  test('mail waits while clamd is away, and goes on without the others', async () => {
    await project.compose('stop', 'clamav', 'rspamd', 'spamassassin')
    await project.mail.send('waits')
    await finds('status:delayed "Content check is not available"')
    await project.up('--no-build', '--no-deps', 'clamav')
    await project.ctl('schedule', 'all')
    await project.mail.arrives(['waits'])
  })
})
