import assert from 'node:assert/strict'
import { once } from 'node:events'
import { test } from 'node:test'
import { connect } from 'node:tls'

import { fetchProof, startAuthority } from '../../services/inbound/acme/testing.ts'
import { atEnd } from '../support/at-end.ts'
import { freePort } from '../support/free-port.ts'
import { MailSystem } from '../support/mail-system.ts'

const conf = `pki "mx.sluice.test" cert "{{data}}/mx.crt" key "{{data}}/mx.key"
listen on 127.0.0.1 port {{smtps}} smtps pki "mx.sluice.test"
action "deliver" maildir "{{data}}/mail/%{user.username}"
match from any for domain "sluice.test" action "deliver"
`

test('a server without a certificate starts, orders one, and its listeners take it without a restart', async (t) => {
  const port = await freePort()
  const authority = await startAuthority({
    type: 'http-01',
    proves: async ({ token, expected }) => (await fetchProof(port, token)) === `200 ${expected}`,
  })
  atEnd(t, () => authority.close())
  const system = await MailSystem.start({
    conf,
    pipeline: `users from any
acme directory "${authority.directory}" email "postmaster@sluice.test" domains "mx.sluice.test" \\
  certificate "{{data}}/mx.crt" key "{{data}}/mx.key" http "127.0.0.1:${port}"
`,
  })
  atEnd(t, () => system.stop())
  await system.waitForLog(({ msg }) => msg === 'certificate in use')
  assert.equal(await issuerAt(system.port('smtps')), 'Test authority')
})

/** Who signed the certificate that is served. */
async function issuerAt(port: number): Promise<string> {
  const socket = connect({ port, host: '127.0.0.1', rejectUnauthorized: false })
  await once(socket, 'secureConnect')
  const { issuer } = socket.getPeerCertificate()
  socket.destroy()
  return String(issuer.CN)
}
