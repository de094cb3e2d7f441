import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'

import { verifyDkim } from '../support/dkim-verify.ts'
import { Elsewhere } from './elsewhere.ts'
import { docker, eventually, missingEngine } from './engine.ts'
import { cameOnce, dkimRecords, Load, mailbox, stranger } from './mail.ts'
import { ComposeProject } from './project.ts'

const gtube = 'XJS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X'
const everyService = 'filter delivery signer relay ledger dashboard redis unbound dovecot inbound'.split(' ')
const megabyte = 1_000_000

describe('docker compose up -d --build --wait', { skip: missingEngine() }, () => {
  let project: ComposeProject
  let elsewhere: Elsewhere
  before(async () => {
    project = await ComposeProject.start()
    elsewhere = await Elsewhere.publish(project)
  })
  after(() => project?.remove())

  test('Compose takes each file, with every profile', async () => {
    await project.compose('--profile', '*', 'config', '-q')
    await docker('compose', '-f', 'deploy/demo.yml', '--profile', '*', 'config', '-q')
    const overlays = ['deploy/acme.yml', 'deploy/ipv6.yml'].flatMap((file) => ['-f', file])
    const earnest = ['--env-file', '.env.example', '-f', 'docker-compose.yml', ...overlays]
    await docker('compose', ...earnest, '--profile', '*', 'config', '-q')
  })

  test('mail from outside goes through the filter to Dovecot, and is read by IMAP', async () => {
    assert.match((await project.mail.send('outside')).raw, /^250 2\.0\.0 /)
    await project.mail.arrives(['outside'], 'INBOX')
    const client = await project.mail.session()
    await client.command(`MAIL FROM:<${stranger}>`)
    assert.match((await client.command('RCPT TO:<nobody@sluice.test>')).raw, /^550 5\.1\.1/)
    assert.match(
      (await client.command('RCPT TO:<x@elsewhere.test>')).raw,
      /^550 5\.7\.1/,
      'no open relay, also for the gateway of the bridge',
    )
    await client.quit()
  })

  test('a user of Dovecot logs in, and his mail to others is signed and relayed to their server', async () => {
    await assert.rejects(project.mail.login('wrong'), /535/)
    for (const [id, to] of [
      ['to-us', mailbox],
      ['to-others', stranger],
    ] as const) {
      assert.match((await project.mail.send(id, { as: 'user', to })).raw, /^250 /)
    }
    await project.mail.arrives(['to-us'])
    const [mail] = await elsewhere.receives(['to-others'])
    assert.deepEqual([mail?.from, mail?.recipients], [mailbox, [stranger]])
    const { valid, detail } = await verifyDkim(mail?.content ?? Buffer.of(), await dkimRecords(project))
    assert.ok(valid, detail)
  })

  test('junk is filed as such, and moving it out of there teaches the classifier', async () => {
    assert.match((await project.mail.send('junk', { body: gtube })).raw, /^250 /)
    await project.mail.arrives(['junk'], 'Junk')
    assert.ok(!(await project.mail.subjectsIn('INBOX')).includes('junk'))
    await project.mail.imap('Junk', 'UID MOVE 1:* INBOX')
    await project.mail.arrives(['junk'], 'INBOX')
    const status = JSON.parse(await project.ctl('learn', 'status', '--json')) as { readonly ham: number }
    assert.equal(status.ham, 1, 'Dovecot has reported the move before it answered it')
  })

  test('the image adds less than 120 MB to that of Node, and what runs in it is nobody special', async () => {
    const size = async (image: string): Promise<number> =>
      Number(await docker('image', 'inspect', '-f', '{{.Size}}', image))
    const added = ((await size(project.version.image)) - (await size('node:24-bookworm-slim'))) / megabyte
    assert.ok(added < 120, `${added} MB`)
    const who = await project.exec('filter', 'sh', '-c', 'id -u; touch /sluice/x /etc/x 2>&1; echo $?')
    assert.match(who, /^1000\n/)
    assert.match(who, /Read-only file system/)
  })

  test('Redis is well only while it writes down what it is told and throws nothing away', async () => {
    const [id = ''] = await project.containers('redis')
    const [, command = ''] = JSON.parse(
      await docker('inspect', '-f', '{{json .Config.Healthcheck.Test}}', id),
    ) as readonly string[]
    const redis = async (script: string): Promise<string> => (await docker('exec', id, 'sh', '-c', script)).trim()
    const set = (policy: string): Promise<string> =>
      redis(`${command.slice(0, command.indexOf(' redis-cli'))} redis-cli config set maxmemory-policy ${policy}`)
    assert.equal(await redis(`${command}; echo $?`), '0')
    await set('allkeys-lru')
    assert.equal(await redis(`${command}; echo $?`), '1')
    await set('noeviction')
  })

  test('three filters share the work', async () => {
    await project.up('--no-recreate', '--scale', 'filter=3')
    const ids = await project.containers('filter')
    assert.equal(ids.length, 3)
    const load = new Load(project.mail, 'scaled', [{}, {}, {}, {}, {}, {}])
    await eventually(
      () => project.saidByEach('filter'),
      (texts) => texts.every((text) => text.includes('"event":"filtered"')),
      () => Promise.resolve('not each of the three has filtered a message'),
    )
    await project.mail.arrives((await load.stop()).keys())
  })

  test('a new version looks at what the old one left before it takes over', async () => {
    const words = ['run', '--rm', '--no-deps', '--entrypoint', 'sluicectl', 'ledger', 'preflight', '--json']
    const { ready, findings } = JSON.parse(await project.compose(...words)) as {
      readonly ready: boolean
      readonly findings: readonly { readonly about: string; readonly verdict: string }[]
    }
    assert.equal(ready, true, JSON.stringify(findings))
    assert.deepEqual(
      ['spool', 'Redis', 'jobs'].map((about) => findings.find((one) => one.about === about)?.verdict),
      ['good', 'good', 'good'],
    )
  })

  test('what the containers count is told at one place', async () => {
    const ask = "fetch('http://dashboard:9100/metrics').then((answer) => answer.text()).then(console.log)"
    const text = await project.exec('ledger', 'node', '-e', ask)
    for (const service of ['inbound', 'filter', 'signer', 'delivery', 'relay', 'ledger', 'dashboard'])
      assert.match(text, new RegExp(`^sluice_process_cpu_seconds_total\\{process="${service}[.+]`, 'm'), service)
  })

  test('with the profile metrics Prometheus is well, finds all services, and has the alerts', async () => {
    const metrics = (...words: readonly string[]): Promise<string> => project.compose('--profile', 'metrics', ...words)
    await metrics('up', '-d', '--wait', '--build', '--no-deps', 'prometheus')
    const ask = (what: string): Promise<string> =>
      metrics('exec', '-T', 'prometheus', 'wget', '-qO-', `http://127.0.0.1:9090/api/v1/${what}`)
    const services = ['inbound', 'filter', 'signer', 'delivery', 'relay', 'ledger', 'reports', 'dashboard']
    // It asks every 15 s.
    await eventually(
      () => ask('query?query=sluice_services'),
      (text) => services.every((service) => text.includes(`"service":"${service}"`)),
      (text) => Promise.resolve(`Prometheus does not know all services: ${text}`),
    )
    const rules = await ask('rules')
    assert.match(rules, /"name":"QueueStands"/)
    assert.doesNotMatch(rules, /"health":"err"/)
    await metrics('stop', 'prometheus')
  })

  test('each container is killed while mail comes and goes: nothing is lost, each arrives, the books are closed', async () => {
    const inwards = new Load(project.mail, 'in', [{}, {}, {}])
    const outwards = new Load(project.mail, 'out', [{ as: 'user', to: stranger }])
    for (const service of everyService) {
      await project.crash(service)
      await inwards.more(5)
      await project.healthy(service)
    }
    await outwards.more(1)
    const taken = new Map([...(await inwards.stop()), ...(await outwards.stop())])
    // What could not be tried while the resolver was away is tried now.
    await project.ctl('schedule', 'all')
    const found = await project.mail.arrives([...taken.keys()].filter((id) => id.startsWith('in-')))
    const gone = await elsewhere.receives([...taken.keys()].filter((id) => id.startsWith('out-')))
    const sums = await project.mail.settles()
    assert.deepEqual([sums['failed'], sums['missing']], [0, 0])
    await cameOnce(project, taken, [...found, ...gone.map(({ id }) => id)])
  })

  test('what waits outlives "down" and "up"', async () => {
    await project.compose('stop', 'delivery')
    assert.match((await project.mail.send('waiting')).raw, /^250 /)
    await project.compose('down', '--timeout', '20')
    await project.up()
    await project.mail.arrives(['waiting'])
    const sums = await project.mail.settles()
    assert.equal(sums['missing'], 0)
  })
})
