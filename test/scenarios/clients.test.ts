import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'

import { formatScramSecret, scramSecretOf } from '../../shared/crypt/scram-secret.ts'
import { standardConf } from '../support/configurations.ts'
import { curlMail } from '../support/curl.ts'
import { fixture, root } from '../support/fixtures.ts'
import { MailSystem } from '../support/mail-system.ts'
import { testMessage } from '../support/messages.ts'
import { missingOpenSmtpd, startOpenSmtpd } from '../support/opensmtpd.ts'
import { findPeer, missingPeers } from '../support/peer.ts'
import type { Peer } from '../support/peer.ts'
import { startPostfix } from '../support/postfix.ts'
import { run } from '../support/process.ts'
import type { Finished } from '../support/process.ts'
import { swaks } from '../support/swaks.ts'
import { tempFolder } from '../support/temp-folder.ts'
import type { TempFolder } from '../support/temp-folder.ts'

const [user, password] = ['jane', 'secret-jane']
const from = 'jane@sluice.test'
const to = 'joe@sluice.test'

/** How a client comes in. */
interface Way {
  readonly port: number
  readonly implicitTls: boolean
  /** X-Test-Id of its message. */
  readonly id: string
}

describe('clients of others submit with a password, by STARTTLS and by TLS from the start', () => {
  let system: MailSystem
  let folder: TempFolder
  /** Those that are accounted for. */
  const sessions = new Set<unknown>()

  before(async () => {
    folder = await tempFolder('clients')
    const secret = formatScramSecret(scramSecretOf(password))
    system = await MailSystem.start({
      conf: standardConf({ more: `table logins { "${user}" = "${secret}" }` }).replaceAll(
        'auth <accounts>',
        'auth <logins> received-auth',
      ),
      pipeline: 'auth mechanisms plain login scram-sha-256\n',
    })
  })

  after(async () => {
    await system.stop()
    await folder.remove()
  })

  /** @param method as the log names it */
  function client(
    name: string,
    peers: readonly Peer[],
    method: string,
    send: (way: Way) => Promise<Finished | void>,
    missing: string | false = missingPeers(...peers),
  ) {
    test(name, { skip: missing }, async () => {
      for (const listener of ['submission', 'smtps']) {
        const id = `${name.replaceAll(/\W/g, '-')}-${listener}`
        const sent = await send({ port: system.port(listener), implicitTls: listener === 'smtps', id })
        assert.equal(sent?.code ?? 0, 0, `${listener}: ${sent?.stdout}${sent?.stderr}`)
        await delivered(id)
        const login = await system.waitForLog(
          (line) => line.event === 'authenticated' && !sessions.has(line['session']),
        )
        sessions.add(login['session'])
        assert.deepEqual([login['user'], login['method']], [user, method])
      }
    })
  }

  /** Resolves when joe has the message. */
  async function delivered(id: string): Promise<void> {
    for (let count = 1; ; count += 1) {
      const messages = await system.maildir('joe').waitForMessages(count)
      const message = messages.find((one) => one.field('X-Test-Id') === id)
      if (message === undefined) continue
      assert.match(
        message.field('Received') ?? '',
        /\(Authenticated sender: jane\)\s+by mx\.sluice\.test with ESMTPSA /,
      )
      return
    }
  }

  for (const mechanism of ['PLAIN', 'LOGIN']) {
    client(`swaks, ${mechanism}`, ['swaks'], mechanism, ({ port, implicitTls, id }) =>
      swaks(
        [
          ['--server', `127.0.0.1:${port}`, implicitTls ? '--tls-on-connect' : '--tls', '--from', from, '--to', to],
          ['--auth', mechanism, '--auth-user', user, '--auth-password', password, '--add-header', `X-Test-Id: ${id}`],
        ].flat(),
      ),
    )
  }

  client('curl', ['curl'], 'PLAIN', ({ port, implicitTls, id }) =>
    curlMail({
      url: `${implicitTls ? 'smtps' : 'smtp'}://127.0.0.1:${port}`,
      from,
      to,
      content: testMessage({ id, from, to }),
      login: `${user}:${password}`,
    }),
  )

  client('Python smtplib', ['python3'], 'PLAIN', ({ port, implicitTls, id }) =>
    run(findPeer('python3') ?? '', ['-c', smtplib, String(port), implicitTls ? 'implicit' : ''], {
      input: testMessage({ id, from, to }),
    }),
  )

  for (const mechanism of ['plain', 'scram-sha-256']) {
    client(`msmtp, ${mechanism}`, ['msmtp'], mechanism.toUpperCase(), ({ port, implicitTls, id }) =>
      run(
        findPeer('msmtp') ?? '',
        [
          ['--file=/dev/null', '--host=127.0.0.1', `--port=${port}`, '--tls=on', `--from=${from}`],
          [`--tls-starttls=${implicitTls ? 'off' : 'on'}`, '--tls-certcheck=off', `--auth=${mechanism}`],
          [`--user=${user}`, `--passwordeval=echo ${password}`, to],
        ].flat(),
        { input: testMessage({ id, from, to }) },
      ),
    )
  }

  client('nodemailer', [], 'PLAIN', ({ port, implicitTls, id }) =>
    run(process.execPath, ['--input-type=module', '-e', nodemailer, String(port), implicitTls ? 'implicit' : ''], {
      cwd: root,
      input: testMessage({ id, from, to }),
    }),
  )

  client('mutt', ['mutt'], 'PLAIN', async ({ port, implicitTls, id }) => {
    const settings = join(folder.path, `muttrc-${id}`)
    await writeFile(
      settings,
      [
        `set smtp_url="${implicitTls ? 'smtps' : 'smtp'}://${user}@127.0.0.1:${port}/"`,
        `set smtp_pass="${password}" smtp_authenticators="plain" ssl_starttls=yes ssl_force_tls=yes`,
        `set ssl_verify_host=no ssl_ca_certificates_file="${fixture('tls/ca.pem')}"`,
        `set from="${from}" copy=no edit_headers=no`,
        `my_hdr X-Test-Id: ${id}`,
      ].join('\n'),
    )
    const args = ['-n', '-F', settings, '-s', id, '--', to]
    return run(findPeer('mutt') ?? '', args, { input: 'hello\n', env: { HOME: folder.path } })
  })

  client('Postfix', ['postfix', 'swaks'], 'PLAIN', async ({ port, implicitTls, id }) => {
    const passwords = join(folder.path, `passwords-${id}`)
    await writeFile(passwords, `[127.0.0.1]:${port} ${user}:${password}\n`)
    const postfix = await startPostfix({
      transport: `smtp:[127.0.0.1]:${port}`,
      parameters: {
        smtp_sasl_auth_enable: 'yes',
        smtp_sasl_password_maps: `texthash:${passwords}`,
        smtp_sasl_security_options: 'noanonymous',
        smtp_sasl_mechanism_filter: 'plain',
        smtp_tls_security_level: 'encrypt',
        smtp_tls_wrappermode: implicitTls ? 'yes' : 'no',
      },
    })
    try {
      const server = `127.0.0.1:${postfix.port}`
      const sent = await swaks(['--server', server, '--from', from, '--to', to, '--add-header', `X-Test-Id: ${id}`])
      await delivered(id)
      return sent
    } finally {
      await postfix.stop()
    }
  })

  client(
    'OpenSMTPD',
    [],
    'PLAIN',
    async ({ port, implicitTls, id }) => {
      const relay = `${implicitTls ? 'smtps' : 'smtp+tls'}://{{login}}@127.0.0.1:${port}`
      const opensmtpd = await startOpenSmtpd({ relay, login: { user, password } })
      try {
        const server = `127.0.0.1:${opensmtpd.port}`
        const sent = await swaks(['--server', server, '--from', from, '--to', to, '--add-header', `X-Test-Id: ${id}`])
        await delivered(id)
        return sent
      } finally {
        await opensmtpd.stop()
      }
    },
    missingOpenSmtpd() || missingPeers('swaks', 'unshare'),
  )
})

const smtplib = `
import smtplib, ssl, sys
port, implicit = int(sys.argv[1]), sys.argv[2] == 'implicit'
context = ssl._create_unverified_context()
client = smtplib.SMTP_SSL('127.0.0.1', port, context=context) if implicit else smtplib.SMTP('127.0.0.1', port)
if not implicit: client.starttls(context=context)
client.login('${user}', '${password}')
client.sendmail('${from}', ['${to}'], sys.stdin.buffer.read())
client.quit()
`

const nodemailer = `
import { text } from 'node:stream/consumers'
import nodemailer from 'nodemailer'
const [, port, how] = process.argv
const transport = nodemailer.createTransport({
  host: '127.0.0.1', port: Number(port), secure: how === 'implicit', requireTLS: true,
  tls: { rejectUnauthorized: false }, auth: { user: '${user}', pass: '${password}' },
})
await transport.sendMail({ envelope: { from: '${from}', to: '${to}' }, raw: await text(process.stdin) })
transport.close()
`
