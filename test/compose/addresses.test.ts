import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'

import { missingPeers } from '../support/peer.ts'
import { type AnotherHost, startAnotherHost } from './another-host.ts'
import { docker, eventually, missingEngine } from './engine.ts'
import { ComposeProject } from './project.ts'

/** Published as docker-compose.yml does it, but for the number. */
class OpenProject extends ComposeProject {
  protected override settings(): Readonly<Record<string, string>> {
    return { ...super.settings(), SMTP_PORT: '0.0.0.0:' }
  }
}

const skip = missingEngine() || (process.getuid?.() === 0 ? missingPeers('ip', 'swaks') : 'needs root')

describe('the addresses of clients, with the ports of containers published', { skip }, () => {
  const project = new OpenProject()
  let other: AnotherHost
  before(async () => {
    other = await startAnotherHost()
    await project.build()
    await project.up('--no-build', 'inbound')
  })
  after(async () => {
    await project.remove()
    await other?.remove()
  })

  const said = (text: string): Promise<unknown> =>
    eventually(
      () => project.logged('inbound'),
      (lines) => lines.some(({ msg }) => typeof msg === 'string' && msg.includes(text)),
      (lines) => Promise.resolve(`nothing says "${text}": ${JSON.stringify(lines)}`),
    )

  test('who connects on this host is seen as the gateway of the bridge; when all seem to come from there, it is told', async () => {
    const format = '{{(index .IPAM.Config 0).Gateway}}'
    const gateway = (await docker('network', 'inspect', '-f', format, `${project.name}_front`)).trim()
    for (let count = 0; count < 20; count++) {
      const client = await project.mail.session()
      assert.ok((await client.command('EHLO here.test')).raw.includes(`[${gateway}]`), gateway)
      await client.quit()
    }
    await said(`clients seem to come from ${gateway}`)
    await eventually(
      () => project.compose('exec', '-T', 'inbound', 'sluicectl', 'show', 'status', '--json'),
      (text) => text.includes('clients seem to come from'),
      (text) => Promise.resolve(`the status does not tell it:\n${text}`),
    )
  })

  test('who connects from another host is seen by his own address, and nothing is told any more', async () => {
    const port = `${await project.port('inbound', 2525)}`
    const { stdout } = await other.run('swaks', '--server', other.reaches, '--port', port, '--quit-after', 'EHLO')
    assert.match(stdout, new RegExp(`Hello \\[${other.address}\\]`))
    await said('clients have addresses of their own')
  })
})
