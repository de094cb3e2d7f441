import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'

import { runTrimmed } from './testing.ts'

const folder = mkdtempSync(join(tmpdir(), 'settings-'))
after(() => rmSync(folder, { recursive: true }))
const [smtpdConf, pipelineConf] = [join(folder, 'smtpd.conf'), join(folder, 'pipeline.conf')]
writeFileSync(
  smtpdConf,
  `listen on lo port 2525
smtp max-message-size 10M
srs key "a secret"
action "out" relay
match for any action "out"
`,
)
writeFileSync(
  pipelineConf,
  'users from any\nspam junk 6\nspam reject 15\nqueue "filter" concurrency 9\nrestrict rcpt permit\n',
)

const environment: Readonly<Record<string, string>> = { SMTPD_HOSTNAME: 'mx.example.org' }
const control = (...args: readonly string[]) =>
  runTrimmed(['config', ...args, '-f', smtpdConf, '-p', pipelineConf, '-d', folder], environment)

/** Words of each line. */
const words = (out: string) => out.split('\n').map((line) => line.trim().split(/\s{2,}/))

test('config get tells values with the line they come from', async () => {
  const cases: readonly (readonly [path: string, value: string, place: string])[] = [
    ['maxMessageBytes', '10485760', `${smtpdConf}:2`],
    ['queueTtlMs', '345600000', 'default'],
    ['pipeline.spam.junk', '6', `${pipelineConf}:2`],
    ['pipeline.spam.reject', '15', `${pipelineConf}:3`],
    ['pipeline.spam.header', 'X-Spam', 'default'],
    ['pipeline.queues.filter.concurrency', '9', `${pipelineConf}:4`],
    ['pipeline.users.kind', 'any', `${pipelineConf}:1`],
    ['pipeline.restrictions.0.rule.kind', 'permit', `${pipelineConf}:5`],
    ['listeners.0.port', '2525', `${smtpdConf}:1`],
    ['srs.key', 'hidden', `${smtpdConf}:3`],
  ]
  for (const [path, value, place] of cases) {
    const { code, out } = await control('get', path)
    assert.deepEqual([code, words(out)], [0, [[path, value, place]]], path)
  }
  const { out } = await control('get', 'pipeline.spam', '--json')
  const found = JSON.parse(out) as readonly { readonly path: string }[]
  assert.ok(found.length > 3 && found.every(({ path }) => path.startsWith('pipeline.spam.')))
})

test('config diff has what is written, config defaults what holds without', async () => {
  const differing = words((await control('diff')).out)
  assert.ok(differing.some(([path]) => path === 'pipeline.spam.junk'))
  assert.ok(!differing.some(([path]) => path === 'pipeline.spam.header' || path === 'queueTtlMs'))
  assert.deepEqual(words((await control('defaults', 'pipeline.spam.junk')).out), [
    ['pipeline.spam.junk', '5', 'default'],
  ])
  assert.deepEqual((await control('diff', 'pipeline.dane')).out, '')
})

test('config diff has nothing that no line says, and the name of this host where one does', async () => {
  assert.ok(words((await control('diff')).out).every(([, , place]) => place !== 'default'))
  const [named, ca] = [join(folder, 'named.conf'), join(folder, 'ca.pem')]
  const withCa = join(folder, 'with-ca.conf')
  writeFileSync(named, 'hostname "mail.example.org"\n')
  writeFileSync(ca, '')
  writeFileSync(
    withCa,
    `mta limit for domain a.org inet6\nca x cert "${ca}"\nlisten on lo port 2525\nmatch for any reject\n`,
  )
  const diff = (names: Readonly<Record<string, string>>) =>
    runTrimmed(['config', 'diff', '-f', withCa, '-p', named, '-d', folder], names)
  const differing = words((await diff({})).out)
  assert.deepEqual(differing[0], ['hostname', 'mail.example.org', `${named}:1`])
  assert.deepEqual(
    differing.filter(([path]) => /^cas|family$/.test(path ?? '')),
    [
      ['cas.x', ca, `${withCa}:2`],
      ['limits.mtaDomains.a.org.family', '6', `${withCa}:1`],
    ],
  )
  assert.ok(
    words((await diff(environment)).out).every(([path]) => path !== 'hostname'),
    'the environment decides',
  )
})

test('config types are those of tables', async () => {
  const { out } = await control('types')
  for (const type of ['file', 'hash', 'regexp', 'cidr', 'tcp', 'ldap']) assert.ok(out.split('\n').includes(type), type)
})

test('a path that is none is an error, never an empty answer, and nothing is made of it', async () => {
  const cases: readonly (readonly [args: readonly string[], code: number, error: RegExp])[] = [
    [['get', 'pipeline.spm.junk'], 1, /nothing is set as 'pipeline\.spm\.junk': did you mean pipeline\.spam\.junk\?/],
    [['get', 'nonsense'], 1, /'sluicectl config get' lists all/],
    [['set', 'pipeline.spam.junk'], 2, /'set' is none of get, defaults, diff, types/],
    [['d'], 2, /'d' is none of/],
    [['types', 'x'], 2, /too much/],
  ]
  for (const [args, code, error] of cases) {
    const { code: got, errors } = await control(...args)
    assert.equal(got, code, args.join(' '))
    assert.match(errors, error)
  }
})
