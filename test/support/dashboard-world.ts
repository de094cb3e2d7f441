import type { BrowserContextOptions, Page } from 'playwright-core'

import { systemClock } from '../../shared/clock.ts'
import { BulkFiles } from '../../shared/operate/bulk-files.ts'
import { isMessageId } from '../../shared/mail/message-id.ts'
import { saveSearch } from '../../shared/searches/saved-searches.ts'
import { createLinkSigner, readLinkKey } from '../../shared/quarantine/links.ts'
import { passwords, remoteWorld, standardConf, standardPipeline } from './configurations.ts'
import { dmarcRow, dmarcXml, gzipped, reportMail } from '../../services/reports/testing.ts'
import { startDns } from './dns.ts'
import type { DnsZone } from './dns.ts'
import { startMailSink } from './mail-sink.ts'
import type { SinkEvent } from './mail-sink.ts'
import { MailSystem } from './mail-system.ts'
import { idOf, testMessage } from './messages.ts'
import { operatorPassword, operatorsFile } from './operators.ts'
import { SmtpClient } from './smtp-client.ts'

/** What the filter keeps back. */
export const gtube = 'XJS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X'

/** Would run, load and break out where text is taken for markup; it stands in a reply of `evil.test`. */
export const hostileText = `<img src=x onerror="hacked()"><script>hacked()</script>'"></title>`

/** Reports on us that postmaster gets are read. */
const reportRules = `action "reports" relay host "queue://reports"
action "keep" maildir "{{data}}/mail/%{user.username}" userbase <people>
match tag Reports from any for rcpt-to "postmaster@sluice.test" action "keep"
match tag Filtered from any for rcpt-to "postmaster@sluice.test" action "reports"`

export interface Letter {
  readonly to: string
  readonly from?: string
  /** The whole message; otherwise one is made of what follows. */
  readonly content?: string | Buffer
  readonly id?: string
  readonly subject?: string
  readonly body?: string
}

export interface DashboardWorld {
  readonly system: MailSystem
  readonly base: string
  /** Mail of a stranger; the id it got. */
  receive(letter: Letter): Promise<string>
  /** Mail of jane to the world; the id it got. */
  submit(letter: Letter): Promise<string>
  /** Names with other records than before. */
  publish(zone: DnsZone): void
}

type Ends = (clean: () => unknown) => void

/** How the world answers jane's mail, by its domain. */
function answer({ stage, argument }: SinkEvent): string | undefined {
  if (stage !== 'rcpt') return undefined
  if (argument.endsWith('slow.test')) return '451 4.7.1 Greylisted, please come back in five minutes'
  if (argument.endsWith('gone.test')) return '550 5.1.1 There is nobody of that name here'
  if (argument.endsWith('evil.test')) return `451 4.7.1 ${hostileText}`
  return undefined
}

/** A system with operators, a quarantine, and a world it relays to: `fast.test` takes mail, `slow.test` and `evil.test` later, `gone.test` never. */
export async function startDashboardWorld(atEnd: Ends): Promise<DashboardWorld> {
  const sink = await startMailSink({ respond: answer })
  atEnd(() => sink.stop())
  const domains = ['fast.test', 'slow.test', 'gone.test', 'evil.test']
  const dns = await startDns(
    Object.fromEntries([
      ...domains.map((name) => [name, { MX: [[10, `mx.${name}`]] }] as const),
      ...domains.map((name) => [`mx.${name}`, { A: ['127.0.0.1'] }] as const),
      ['sluice.test', { MX: [[10, 'mx.sluice.test']], TXT: ['v=spf1 mx -all'] }],
      ['mx.sluice.test', { A: ['127.0.0.2'] }],
      ['2.0.0.127.in-addr.arpa', { PTR: ['mx.sluice.test'] }],
      ['_dmarc.sluice.test', { TXT: ['v=DMARC1; p=quarantine'] }],
    ]),
  )
  atEnd(() => dns.stop())
  const system = await MailSystem.start({
    conf: standardConf({ more: `table operators file:{{folder}}/operators\n${reportRules}` }),
    pipeline: standardPipeline(
      `spam quarantine 10\ndashboard listen "127.0.0.1:{{http}}" auth <operators>\nqueue "reports" tag Reports\n${remoteWorld(dns.address, sink.port)}`,
    ),
    files: { operators: operatorsFile },
  })
  atEnd(() => system.stop())
  const stranger = await SmtpClient.ready({ port: system.port('smtp') })
  atEnd(() => stranger.quit())
  const jane = await SmtpClient.ready({
    port: system.port('submission'),
    starttls: true,
    user: 'jane',
    password: passwords.jane,
  })
  atEnd(() => jane.quit())
  let count = 0
  const send = async (client: SmtpClient, letter: Letter, from: string): Promise<string> => {
    count += 1
    const { to, content = testMessage({ from, id: `letter${count}`, ...letter }) } = letter
    return idOf(await client.send({ from, to: [to], content: Buffer.from(content) }))
  }
  return {
    system,
    base: `http://127.0.0.1:${system.port('http')}`,
    receive: (letter) => send(stranger, letter, letter.from ?? 'friend@remote.test'),
    submit: (letter) => send(jane, letter, 'jane@sluice.test'),
    publish: (zone) => dns.set(zone),
  }
}

/** Messages that came to every end there is, by their end. */
export interface SampleTraffic {
  readonly delivered: string
  readonly held: string
  readonly relayed: string
  readonly delayed: string
  readonly failed: string
  /** Path of a page that the recipient of the held message may open. */
  readonly link: string
  /** Of something that was done to all that a search found. */
  readonly run: string
}

/** Resolves when all of it has come to where it stays. */
export async function sendSampleTraffic({ system, receive, submit }: DashboardWorld): Promise<SampleTraffic> {
  const [delivered] = [await receive({ id: 'minutes', to: 'jane@sluice.test', subject: 'Minutes of Tuesday' })]
  const traffic = {
    delivered,
    held: await receive({
      id: 'win',
      to: 'joe@sluice.test',
      from: 'win@lottery.test',
      subject: 'You won',
      body: gtube,
    }),
    relayed: await submit({ id: 'order', to: 'sales@fast.test', subject: 'Our order' }),
    delayed: await submit({ id: 'offer', to: 'someone.with.a.long.name@slow.test', subject: 'An offer' }),
    failed: await submit({ id: 'typo', to: 'nobdy@gone.test', subject: 'Hello' }),
  }
  const report = await receive({ to: 'postmaster@sluice.test', content: sampleReport('Receiver Inc.') })
  for (const [name, query] of [
    ['Late mail', 'status:delayed'],
    ['Kept back', 'status:held'],
  ] as const)
    await saveSearch(system.dataFolder, { name, query, by: 'olga', at: Date.now() })
  const client = await SmtpClient.ready({ port: system.port('smtp') })
  await client.command('MAIL FROM:<friend@remote.test>')
  await client.command('RCPT TO:<nobody@sluice.test>')
  await client.command('RCPT TO:<joe@elsewhere.test>')
  await client.quit()
  for (const [event, id] of Object.entries(traffic)) await system.waitForEvent(event, id)
  await system.waitForEvent('delivered', report)
  return { ...traffic, link: await quarantineLink(system, traffic.held), run: await keepRun(system) }
}

/** A run as it is kept, half done. Its query may be anything. */
export async function keepRun({ dataFolder }: MailSystem, query = 'status:delayed domain:slow.test'): Promise<string> {
  const id = `${Date.now().toString(36).padStart(9, '0')}-0123abcd`
  const nowAt = Date.now()
  const order = { action: 'reroute', query, asOf: nowAt, way: { to: 'smtp://mx2.slow.test' } } as const
  const far = { messages: 250, turns: 100, done: 97, left: 3 }
  const run = { id, order, by: 'olga (dashboard)', startedAt: nowAt, state: 'stopped', at: nowAt, ...far } as const
  await new BulkFiles(dataFolder, systemClock).add(run, [])
  return id
}

/** As it stands in a digest: to block the sender of a held message. */
export async function quarantineLink(system: MailSystem, held: string): Promise<string> {
  if (!isMessageId(held)) throw new Error(`${held} is no id`)
  const signer = createLinkSigner(await readLinkKey(system.dataFolder))
  return `/quarantine/${signer.sign({ id: held, recipient: 0, action: 'block', expiresAt: Date.now() + 3_600_000 })}`
}

/** An aggregate report of the last days about mail in our name. */
export function sampleReport(org: string): Buffer {
  const nowAt = Math.trunc(Date.now() / 1000)
  const rows = [
    dmarcRow(),
    dmarcRow({ ip: '198.51.100.9', count: '3', dkim: 'fail', spf: 'fail', headerFrom: 'sluice.test' }),
  ]
  const times = { begin: String(nowAt - 2 * 86_400), end: String(nowAt - 86_400) }
  return reportMail([gzipped(dmarcXml({ ...times, domain: 'sluice.test', org, rows }))])
}

/** Each page there is, by a name for its picture. */
export function dashboardPages({
  held,
  delayed,
  delivered,
  link,
  run,
}: SampleTraffic): readonly (readonly [string, string])[] {
  return [
    ['overview', '/'],
    ['queues', '/queues'],
    ['queue', '/queues/relay'],
    ['messages', '/messages'],
    ['messages-found', '/messages?q=joe%40sluice.test'],
    ['messages-all', '/messages/actions?q=status%3Aheld'],
    ['searches', '/messages/searches'],
    ['search', '/messages/searches/change?name=Late+mail'],
    ['runs', '/messages/runs'],
    ['run', `/messages/runs/${run}`],
    ['held', '/held'],
    ['held-chosen', `/held/release?id=${held}`],
    ['preview', `/messages/${held}/preview`],
    ['source', `/messages/${held}/source`],
    ['release', `/messages/${held}/release`],
    ['remove', `/messages/${held}/remove`],
    ['message-held', `/messages/${held}`],
    ['message-delayed', `/messages/${delayed}`],
    ['message-delivered', `/messages/${delivered}`],
    ['destinations', '/destinations'],
    ['destination', '/destinations/slow.test'],
    ['tag', '/tags/Signed'],
    ['change', `/messages/${delayed}/change`],
    ['trial', `/messages/${delivered}/replay`],
    ['reports', '/reports'],
    ['live', '/events'],
    ['rules', '/rules?rcpt=jane%40sluice.test'],
    ['filters', '/filters'],
    ['filters-days', '/filters?days=14'],
    ['domains', '/domains'],
    ['domain', '/domains/sluice.test'],
    ['dry-run', '/rules/dry-run'],
    ['dry-run-result', '/rules/dry-run/result'],
    ['system', '/system'],
    ['quarantine-link', link],
    ['not-found', '/messages/unknown'],
  ]
}

/** Signs in and waits for the overview. */
export async function signIn(page: Page, name = 'ada', password = operatorPassword): Promise<void> {
  await page.goto('/')
  await page.getByLabel('Name').fill(name)
  await page.getByLabel('Password').fill(password)
  await page.getByRole('button', { name: 'Sign in' }).click()
  await page.getByRole('search').waitFor()
}

/** Has the domain of the world checked, and waits for what is found. */
export async function checkDomain(page: Page): Promise<void> {
  await page.goto('/domains/sluice.test')
  await page.getByRole('button', { name: 'Check now' }).click()
  await page.getByRole('table', { name: 'What was found' }).waitFor()
}

/** How people look at it: screen and colours. */
export const looks: readonly (readonly [string, BrowserContextOptions])[] = [
  ['wide-light', { viewport: { width: 1280, height: 800 }, colorScheme: 'light' }],
  ['wide-dark', { viewport: { width: 1280, height: 800 }, colorScheme: 'dark' }],
  ['phone-light', { viewport: { width: 390, height: 844 }, colorScheme: 'light', isMobile: true }],
  ['phone-dark', { viewport: { width: 390, height: 844 }, colorScheme: 'dark', isMobile: true }],
]
