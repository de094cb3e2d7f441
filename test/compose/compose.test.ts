import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { after, before, test } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'

import { root } from '../support/fixtures.ts'
import { freePorts } from '../support/free-port.ts'
import { testMessage } from '../support/messages.ts'
import { run } from '../support/process.ts'
import { plain, SmtpClient } from '../support/smtp-client.ts'

/**
 * docker-compose.yml on a real engine, found by DOCKER_HOST as the docker command finds it. The image is built unless SLUICE_IMAGE names one. Not part
 * of `npm test`: npm run test:compose.
 */
const project = `sluice-test-${randomBytes(3).toString('hex')}`
const [smtp = 0, submission = 0, submissions = 0, imaps = 0, sieve = 0, dashboard = 0] = await freePorts(6)
const environment = {
  MAIL_DOMAIN: 'sluice.test',
  MAIL_HOSTNAME: 'mx.sluice.test',
  SMTP_PORT: `127.0.0.1:${smtp}`,
  SUBMISSION_PORT: `127.0.0.1:${submission}`,
  SUBMISSIONS_PORT: `127.0.0.1:${submissions}`,
  IMAPS_PORT: `127.0.0.1:${imaps}`,
  SIEVE_PORT: `127.0.0.1:${sieve}`,
  DASHBOARD_PORT: String(dashboard),
  ...inherited('DOCKER_HOST', 'DOCKER_CONFIG', 'SLUICE_IMAGE', 'UNBOUND_IMAGE'),
}
const mailbox = 'postmaster@sluice.test'
const stranger = 'bob@elsewhere.test'
const minutes = 60_000
const gtube = 'XJS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X'

function inherited(...names: readonly string[]): Readonly<Record<string, string>> {
  return Object.fromEntries(
    names.flatMap((name) => (process.env[name] === undefined ? [] : [[name, process.env[name]]])),
  )
}

async function docker(...args: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await run('docker', args, { env: environment, timeoutMs: 15 * minutes, cwd: root })
  assert.equal(code, 0, `docker ${args.join(' ')}\n${stdout}${stderr}`)
  return stdout
}

const compose = (...args: readonly string[]): Promise<string> => docker('compose', '-p', project, ...args)
const ctl = (...args: readonly string[]): Promise<string> => compose('exec', '-T', 'ledger', 'sluicectl', ...args)
const up = (...args: readonly string[]): Promise<string> =>
  compose('up', '-d', '--wait', ...('SLUICE_IMAGE' in environment ? ['--no-build'] : ['--build']), ...args)

async function password(): Promise<string> {
  return (await compose('exec', '-T', 'inbound', 'cat', `/identity/passwords/${mailbox}`)).trim()
}

/** What is answered to a command in a folder of the mailbox. */
async function imap(folder: string, command: string): Promise<string> {
  const url = `imaps://127.0.0.1:${imaps}/${folder}`
  const args = ['-skv', '--url', url, '-u', `${mailbox}:${await password()}`, '-X', command]
  // curl shows what it was answered in its protocol only.
  return (await run('curl', args, { timeoutMs: 2 * minutes })).stderr
}

async function subjectsIn(folder: string): Promise<readonly string[]> {
  const answer = await imap(folder, 'FETCH 1:* (BODY.PEEK[HEADER.FIELDS (SUBJECT)])')
  return [...answer.matchAll(/Subject: (\S+)/g)].map(([, subject]) => subject ?? '')
}

const arrives = (...wanted: readonly string[]): Promise<readonly string[]> => arrivesIn('INBOX', ...wanted)

async function arrivesIn(folder: string, ...wanted: readonly string[]): Promise<readonly string[]> {
  for (let tries = 0; tries < 240; tries += 1) {
    const found = await subjectsIn(folder)
    if (wanted.every((subject) => found.includes(subject))) return found
    await pause(1_000)
  }
  return assert.fail(`these never arrived: ${wanted.join(', ')}\n${await ctl('show', 'queue')}`)
}

async function send(id: string): Promise<string> {
  const client = await SmtpClient.ready({ port: smtp })
  const { raw } = await client.send({
    from: stranger,
    to: [mailbox],
    content: testMessage({ id, from: stranger, to: mailbox }),
  })
  await client.quit()
  return raw
}

before(async () => {
  await compose('config', '-q')
  await up()
})
after(async () => {
  await compose('down', '-v', '--timeout', '20')
})

test('mail from outside goes through the filter to Dovecot, and is read by IMAP', async () => {
  assert.match(await send('outside'), /^250 2\.0\.0 /)
  await arrives('outside')
  const client = await SmtpClient.ready({ port: smtp })
  await client.command(`MAIL FROM:<${stranger}>`)
  assert.match((await client.command('RCPT TO:<nobody@sluice.test>')).raw, /^550 5\.1\.1/)
  assert.match(
    (await client.command('RCPT TO:<x@elsewhere.test>')).raw,
    /^550 5\.7\.1/,
    'no open relay, also for the gateway of the bridge',
  )
  await client.quit()
})

test('a user of Dovecot logs in and his mail is signed', async () => {
  const client = await SmtpClient.ready({ port: submissions, implicitTls: true })
  assert.match((await client.command(`AUTH PLAIN ${plain(mailbox, 'wrong')}`)).raw, /^535 /)
  await client.quit()
  const user = await SmtpClient.ready({ port: submissions, implicitTls: true })
  assert.match((await user.command(`AUTH PLAIN ${plain(mailbox, await password())}`)).raw, /^235 /)
  const content = testMessage({ id: 'signed', from: mailbox, to: mailbox })
  assert.match((await user.send({ from: mailbox, to: [mailbox], content })).raw, /^250 /)
  await user.quit()
  await arrives('signed')
})

test('junk is filed as such, and moving it out of there teaches the classifier', async () => {
  const client = await SmtpClient.ready({ port: smtp })
  const content = testMessage({ id: 'junk', from: stranger, to: mailbox, body: gtube })
  assert.match((await client.send({ from: stranger, to: [mailbox], content })).raw, /^250 /)
  await client.quit()
  await arrivesIn('Junk', 'junk')
  assert.ok(!(await subjectsIn('INBOX')).includes('junk'))
  await imap('Junk', 'UID MOVE 1:* INBOX')
  await arrivesIn('INBOX', 'junk')
  const status = JSON.parse(await ctl('learn', 'status', '--json')) as { readonly ham: number }
  assert.equal(status.ham, 1, 'Dovecot has reported the move before it answered it')
})

test('three filters share the work', async () => {
  await up('--no-recreate', '--scale', 'filter=3')
  const wanted = Array.from({ length: 60 }, (_one, number) => `scaled-${number}`)
  // One address may have ten sessions at a time.
  for (let first = 0; first < wanted.length; first += 6)
    await Promise.all(wanted.slice(first, first + 6).map((id) => send(id)))
  await arrives(...wanted)
  const ids = (await compose('ps', '-q', 'filter')).trim().split('\n')
  assert.equal(ids.length, 3)
  for (const id of ids) assert.match(await docker('logs', id), /"event":"filtered"/)
})

test('each container may be killed while mail comes in: nothing is lost', async () => {
  const services = ['filter', 'delivery', 'ledger', 'redis', 'inbound']
  const taken: string[] = []
  for (const service of services) {
    const wanted = Array.from({ length: 20 }, (_one, number) => `${service}-${number}`)
    const sending = wanted.map(async (id) => {
      const reply = await send(id).catch(() => '')
      if (reply.startsWith('250 ')) taken.push(id)
    })
    await compose('kill', '-s', 'SIGKILL', service)
    await Promise.all(sending)
    await up('--no-recreate')
  }
  assert.ok(taken.length >= 20, `only ${taken.length} were taken`)
  await arrives(...taken)
})

test('a new version looks at what the old one left before it takes over', async () => {
  const { ready, findings } = JSON.parse(
    await compose('run', '--rm', '--no-deps', '--entrypoint', 'sluicectl', 'ledger', 'preflight', '--json'),
  ) as { readonly ready: boolean; readonly findings: readonly { readonly about: string; readonly verdict: string }[] }
  assert.equal(ready, true, JSON.stringify(findings))
  assert.deepEqual(
    ['spool', 'Redis', 'jobs'].map((about) => findings.find((one) => one.about === about)?.verdict),
    ['good', 'good', 'good'],
  )
})

test('what the containers count is told at one place', async () => {
  const ask = "fetch('http://dashboard:9100/metrics').then((answer) => answer.text()).then(console.log)"
  const text = await compose('exec', '-T', 'ledger', 'node', '-e', ask)
  for (const service of ['inbound', 'filter', 'signer', 'delivery', 'relay', 'ledger', 'dashboard'])
    assert.match(text, new RegExp(`^sluice_process_cpu_seconds_total\\{process="${service}[.+]`, 'm'), service)
})

test('what waits outlives "down" and "up"', async () => {
  await compose('stop', 'delivery')
  assert.match(await send('waiting'), /^250 /)
  await compose('down', '--timeout', '20')
  await up()
  await arrives('waiting')
})
