import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'

import { atEnd } from '../support/at-end.ts'
import { standardConf, standardPipeline } from '../support/configurations.ts'
import { MailSystem } from '../support/mail-system.ts'
import { idOf, testMessage } from '../support/messages.ts'
import { operatorPassword, operatorsFile } from '../support/operators.ts'
import { findPeer, missingPeers } from '../support/peer.ts'
import { run } from '../support/process.ts'
import { SmtpClient } from '../support/smtp-client.ts'

interface Answer {
  readonly code: number
  readonly headers: string
  readonly body: string
}

/** curl with a cookie jar: a browser without scripts. */
class Browser {
  readonly #base: string
  readonly #jar: string

  constructor(system: MailSystem, name: string) {
    this.#base = `http://127.0.0.1:${system.port('http')}`
    this.#jar = join(system.dataFolder, `${name}.cookies`)
  }

  async get(path: string, ...more: readonly string[]): Promise<Answer> {
    const fixed = ['--silent', '--show-error', '--include', '--cookie', this.#jar, '--cookie-jar', this.#jar]
    const { code, stdout, stderr } = await run(findPeer('curl') ?? 'curl', [...fixed, ...more, this.#base + path], {
      timeoutMs: 60_000,
    })
    assert.equal(code, 0, stderr)
    const [headers = '', ...body] = stdout.split('\r\n\r\n')
    return { code: Number(/^HTTP\/1.1 (\d+)/.exec(headers)?.[1]), headers, body: body.join('\r\n\r\n') }
  }

  /** Sends the form of a page that goes to `action`. */
  async send(page: string, action: string, fields: Readonly<Record<string, string>> = {}): Promise<Answer> {
    const token = /name="token" value="([\w-]+)"/.exec((await this.get(page)).body)?.[1] ?? ''
    const pairs = Object.entries({ token, ...fields })
    return this.get(action, ...pairs.flatMap(([name, value]) => ['--data-urlencode', `${name}=${value}`]))
  }

  async signIn(name: string): Promise<void> {
    const { code, body } = await this.send('/sign-in', '/sign-in', { name, password: operatorPassword })
    assert.equal(code, 303, body)
  }
}

test(
  'operators sign in with curl, stop a queue, hold and release a message, and readers only look',
  { skip: missingPeers('curl') },
  async (t) => {
    const system = await MailSystem.start({
      conf: standardConf({ more: 'table operators file:{{folder}}/operators' }),
      pipeline: standardPipeline('dashboard listen "127.0.0.1:{{http}}" auth <operators>'),
      files: { operators: operatorsFile },
    })
    atEnd(t, () => system.stop())
    const [stranger, ada, rita] = [
      new Browser(system, 'nobody'),
      new Browser(system, 'ada'),
      new Browser(system, 'rita'),
    ]
    assert.match((await stranger.get('/queues')).headers, /303[^]*location: \/sign-in\?to=%2Fqueues/i)
    assert.equal((await stranger.get('/api/v1/queues')).code, 401)
    assert.equal((await stranger.get('/health')).code, 200)
    await ada.signIn('ada')
    await rita.signIn('rita')

    assert.equal((await rita.send('/', '/queues/filter/pause')).code, 403)
    assert.equal((await ada.get('/queues/filter/pause', '--data', 'token=x')).code, 403)
    assert.equal((await ada.send('/queues/filter', '/queues/filter/pause')).code, 303)
    assert.match((await rita.get('/queues/filter')).body, /paused/)

    const client = await SmtpClient.ready({ port: system.port('smtp') })
    const envelope = { from: 'friend@remote.test', to: ['jane@sluice.test'] }
    const id = idOf(await client.send({ ...envelope, content: testMessage({ id: 'dashboard' }) }))
    await client.quit()
    const page = `/messages/${id}`
    while (!(await ada.get(page)).body.includes(`action="${page}/hold"`)) await pause()
    assert.equal((await ada.send(page, `${page}/hold`)).code, 303)
    while (!(await ada.get('/')).body.includes('held by ada (dashboard)')) await pause()
    assert.equal((await ada.send(page, `${page}/release`)).code, 303)
    assert.equal((await ada.send('/queues/filter', '/queues/filter/resume')).code, 303)
    await system.waitForEvent('delivered', id)
    while (!(await rita.get(page)).body.includes('released to filter by ada (dashboard)')) await pause()
    await system.waitForLog((line) => line.event === 'audit' && line['action'] === 'resume queue')

    const acts = system.log
      .filter((line) => line.event === 'audit')
      .map(({ by, action, outcome }) => [by, action, outcome])
    assert.deepEqual(acts, [
      ['ada', 'sign in', 'done'],
      ['rita', 'sign in', 'done'],
      ['rita', 'pause queue', 'refused'],
      ['ada', 'pause queue', 'done'],
      ['ada', 'hold message', 'done'],
      ['ada', 'release message', 'done'],
      ['ada', 'resume queue', 'done'],
    ])
    assert.match((await ada.get('/system')).body, /resume queue/)
    assert.equal((await ada.send('/', '/sign-out')).code, 303)
    assert.equal((await ada.get('/')).code, 303)
  },
)

/** Jobs are added and stories are written in the background; the overview looks at what is held every few seconds. */
function pause(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 100))
}
