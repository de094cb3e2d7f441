import assert from 'node:assert/strict'
import { chmod, mkdtemp, readFile, readdir, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'

import {
  keyInUse,
  listPath,
  neededMs,
  readSuccessors,
  withSuccessors,
  writeSuccessors,
} from '../../shared/dkim/successors.ts'
import { runTrimmed } from './testing.ts'
import type { Printed } from './testing.ts'

let folder = ''
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'dkim-keys-'))
})
after(() => rm(folder, { recursive: true, force: true }))

/** A site of its own, whose resolver answers nothing. */
async function site(name: string): Promise<{
  readonly home: string
  configure(...lines: readonly string[]): Promise<void>
  /** Statements of smtpd.conf before the others. */
  rules(...lines: readonly string[]): Promise<void>
  ctl(...args: readonly string[]): Promise<Printed>
}> {
  const home = await mkdtemp(join(folder, name))
  const [smtpd, pipeline] = [join(home, 'smtpd.conf'), join(home, 'pipeline.conf')]
  const plain = 'listen on 127.0.0.1 port 2525\naction "out" relay\nmatch from local for any action "out"\n'
  const rules = (...lines: readonly string[]): Promise<void> => writeFile(smtpd, [...lines, plain].join('\n'))
  await rules()
  const configure = (...lines: readonly string[]): Promise<void> =>
    writeFile(pipeline, ['resolver "127.0.0.1:1"', ...lines, ''].join('\n'))
  await configure()
  const environment = { SMTPD_CONF: smtpd, PIPELINE_CONF: pipeline, SLUICE_DATA: join(home, 'data') }
  return { home, configure, rules, ctl: (...args) => runTrimmed(args, environment) }
}

test('dkim generate makes a key that its line in pipeline.conf signs with, and never replaces one', async () => {
  const { home, configure, ctl } = await site('generate')
  const made = await ctl('dkim', 'generate', 'Example.org', 'main')
  assert.equal(made.code, 0, made.errors)
  const [record = '', line = ''] = made.out.split('\n')
  assert.match(record, /^main\._domainkey\.example\.org\. IN TXT \( "v=DKIM1; k=rsa; p=/)
  const file = join(home, 'data', 'dkim', 'example.org.main.key')
  assert.equal(line, `dkim domain "example.org" selector "main" key "${file}"`)
  assert.equal((await stat(file)).mode & 0o777, 0o600)
  await configure(line)
  assert.equal((await ctl('dkim', 'record', 'example.org')).out, record)
  const again = await ctl('dkim', 'generate', 'example.org', 'main')
  assert.deepEqual([again.code, again.errors.includes('is there already')], [1, true])
  const other = await ctl('dkim', 'generate', 'example.org', 'ed', '--type', 'ed25519', '--key', join(home, 'ed.key'))
  assert.match(other.out, /^ed\._domainkey\.example\.org\. IN TXT "v=DKIM1; k=ed25519; p=/)
  for (const words of [
    ['a..b', 'main'],
    ['example.org', '../x'],
    ['example.org', 'x', '--type', 'dsa'],
  ])
    assert.equal((await ctl('dkim', 'generate', ...words)).code, 2, words.join(' '))
})

test('a key that signs and seals has one record to publish', async () => {
  const { configure, ctl } = await site('seal')
  const [record = '', line = ''] = (await ctl('dkim', 'generate', 'example.org', 'main')).out.split('\n')
  await configure(line, line.replace('dkim', 'arc seal'))
  assert.equal((await ctl('dkim', 'record')).out, record)
})

test('dkim rotate makes a key like the old one, which signs until the record is there; asked again it is the same', async () => {
  const { home, configure, ctl } = await site('rotate')
  const keyFile = join(home, 'main.key')
  await ctl('dkim', 'generate', 'example.org', 'main', '--type', 'ed25519', '--key', keyFile)
  await chmod(keyFile, 0o640)
  await configure(`dkim domain "example.org" selector "main" key "${keyFile}"`)
  const key = { domain: 'example.org', selector: 'main', keyFile }
  const rotated = await ctl('dkim', 'rotate', 'example.org', '--new', 'next')
  assert.equal(rotated.code, 0, rotated.errors)
  assert.match(rotated.out, /^next\._domainkey\.example\.org\. IN TXT "v=DKIM1; k=ed25519; p=/)
  assert.match(rotated.errors, /publish this record: "next" signs as soon as it is there, and "main" does until then/)
  assert.equal((await stat(`${keyFile}.example.org.next`)).mode & 0o777, 0o640)
  assert.equal((await ctl('dkim', 'rotate', 'example.org')).out, rotated.out)
  assert.equal(keyInUse(key, await readSuccessors(key)).selector, 'main')
  const { keys } = JSON.parse((await ctl('dkim', 'status', '--json')).out) as {
    keys: readonly Record<string, unknown>[]
  }
  assert.deepEqual(
    keys.map(({ selector, use, publication }) => [selector, use, (publication as { kind: string }).kind]),
    [
      ['main', 'signs', 'unknown'],
      ['next', 'new', 'unknown'],
    ],
  )
  const both = (await ctl('dkim', 'record')).out.split('\n')
  assert.deepEqual(
    both.map((line) => line.split('.')[0]),
    ['main', 'next'],
  )

  await see(key)
  assert.match((await ctl('dkim', 'status')).out, /main +old .*\n.*next +signs /)
  assert.deepEqual((await ctl('dkim', 'record')).out, rotated.out)
})

test('a rotation waits for a signer that writes down what it saw, and knows of it', async () => {
  const { home, configure, ctl } = await site('moment')
  const keyFile = join(home, 'main.key')
  await ctl('dkim', 'generate', 'example.org', 'main', '--type', 'ed25519', '--key', keyFile)
  await configure(`dkim domain "example.org" selector "main" key "${keyFile}"`)
  const key = { domain: 'example.org', selector: 'main', keyFile }
  assert.equal((await ctl('dkim', 'rotate', 'example.org', '--new', 'next')).code, 0)
  const rotating = await withSuccessors(key, async (successors) => {
    const rotation = ctl('dkim', 'rotate', 'example.org', '--new', 'third')
    await Promise.race([rotation, sleep(300)])
    await writeSuccessors(
      key,
      successors.map((one) => ({ ...one, visibleAt: 7 })),
    )
    return { rotation }
  })
  const { errors } = await rotating.rotation
  assert.match(errors, /"third" signs as soon as it is there, and "next" does until then/)
  const now = await readSuccessors(key)
  assert.deepEqual(
    now.map(({ selector, visibleAt }) => [selector, visibleAt]),
    [
      ['next', 7],
      ['third', undefined],
    ],
  )
  assert.ok(!(await readdir(home)).some((name) => name.includes('.lock')), 'no lock is left')
})

test('a rotation that broke off before anything named its key is taken up by the next one', async (t) => {
  t.mock.timers.enable({ apis: ['Date'], now: Date.UTC(2026, 10, 21) })
  const { home, configure, ctl } = await site('broken-off')
  const keyFile = join(home, 'main.key')
  await ctl('dkim', 'generate', 'example.org', 'main', '--type', 'ed25519', '--key', keyFile)
  await configure(`dkim domain "example.org" selector "main" key "${keyFile}"`)
  const key = { domain: 'example.org', selector: 'main', keyFile }
  const rotated = await ctl('dkim', 'rotate', 'example.org')
  const [made] = await readSuccessors(key)
  assert.ok(made !== undefined)
  await rm(listPath(key))
  const again = await ctl('dkim', 'rotate', 'example.org')
  assert.deepEqual([again.code, again.out], [0, rotated.out])
  await rm(listPath(key))
  assert.match((await ctl('dkim', 'rotate', 'example.org', '--new', made.selector)).errors, /is there already/)
  await writeFile(made.keyFile, 'half a key')
  assert.match((await ctl('dkim', 'rotate', 'example.org')).errors, /is there already/)
})

test('keys that were replaced a week ago go with the next rotation, but for the one of pipeline.conf', async () => {
  const { home, configure, ctl } = await site('retire')
  const keyFile = join(home, 'main.key')
  await ctl('dkim', 'generate', 'example.org', 'main', '--type', 'ed25519', '--key', keyFile)
  await configure(`dkim domain "example.org" selector "main" key "${keyFile}"`)
  const key = { domain: 'example.org', selector: 'main', keyFile }
  for (const selector of ['a', 'b', 'c']) {
    assert.equal((await ctl('dkim', 'rotate', 'example.org', '--new', selector)).code, 0)
    await see(key, Date.now() - neededMs(4 * 86_400_000) - 1)
  }
  const names = (await readdir(home)).filter((name) => name.startsWith('main.key')).toSorted()
  assert.deepEqual(names, [
    'main.key',
    'main.key.example.org.b',
    'main.key.example.org.c',
    'main.key.example.org.successors',
  ])
  assert.equal(keyInUse(key, await readSuccessors(key)).selector, 'c')
  assert.match(await readFile(`${keyFile}.example.org.c`, 'utf8'), /PRIVATE KEY/)
})

test('dkim retire removes a key that nothing needs any more, and no other', async () => {
  const { home, configure, ctl } = await site('retire-now')
  const keyFile = join(home, 'main.key')
  await ctl('dkim', 'generate', 'example.org', 'main', '--type', 'ed25519', '--key', keyFile)
  await configure(`dkim domain "example.org" selector "main" key "${keyFile}"`)
  const key = { domain: 'example.org', selector: 'main', keyFile }
  for (const selector of ['a', 'b']) {
    await ctl('dkim', 'rotate', 'example.org', '--new', selector)
    await see(key, Date.now() - 86_400_000)
  }
  const retire = async (selector: string): Promise<string> => {
    const { code, out, errors } = await ctl('dkim', 'retire', 'example.org', selector)
    return `${code} ${out}${errors}`
  }
  assert.match(await retire('main'), /^1 .*pipeline\.conf names the key "main"/)
  assert.match(await retire('b'), /^1 .*was not replaced/)
  assert.match(await retire('a'), /^1 .*needed for what it signed/)
  assert.match(await retire('x'), /^1 .*no DKIM key for example\.org with the selector "x"/)
  const [old, now] = await readSuccessors(key)
  assert.ok(old !== undefined && now !== undefined)
  await writeSuccessors(key, [old, { ...now, visibleAt: Date.now() - neededMs(4 * 86_400_000) - 1 }])
  assert.match(await retire('a'), /^0 removed; its record a\._domainkey\.example\.org may go, too/)
  assert.deepEqual(await readSuccessors(key), [{ ...now, visibleAt: (await readSuccessors(key))[0]?.visibleAt }])
  assert.ok(!(await readdir(home)).includes('main.key.example.org.a'))
})

test('a key that was replaced is needed for as long as mail may wait, and for the days that others take', async () => {
  const day = 86_400_000
  assert.equal(neededMs(4 * day), 7 * day)
  assert.equal(neededMs(day), 7 * day)
  const { home, configure, ctl, rules } = await site('patient')
  await rules('queue ttl 14d')
  const keyFile = join(home, 'main.key')
  await ctl('dkim', 'generate', 'example.org', 'main', '--type', 'ed25519', '--key', keyFile)
  await configure(`dkim domain "example.org" selector "main" key "${keyFile}"`)
  assert.equal((await ctl('dkim', 'rotate', 'example.org', '--new', 'next')).code, 0)
  const seenAt = Date.now()
  await see({ domain: 'example.org', selector: 'main', keyFile }, seenAt)
  const { keys } = JSON.parse((await ctl('dkim', 'status', '--json')).out) as {
    keys: readonly { readonly neededUntil?: number }[]
  }
  assert.deepEqual(
    keys.map(({ neededUntil }) => neededUntil),
    [seenAt + 17 * day, undefined],
  )
})

test('dkim rotate says which key it needs to be told, and that a key for every domain has no successor', async () => {
  const { home, configure, ctl } = await site('several')
  const line = (whose: string, selector: string): string =>
    `dkim ${whose} selector "${selector}" key "${join(home, selector)}"`
  for (const selector of ['one', 'two', 'all'])
    await ctl('dkim', 'generate', 'example.org', selector, '--type', 'ed25519', '--key', join(home, selector))
  await configure(
    line('domain "example.org"', 'one'),
    line('domain "example.org"', 'two'),
    line('default same-domain', 'all'),
  )
  assert.match((await ctl('dkim', 'rotate', 'example.org')).errors, /several keys: name a selector: one two/)
  assert.match((await ctl('dkim', 'rotate', 'other.example')).errors, /signs for every domain/)
  assert.match(
    (await ctl('dkim', 'rotate', 'example.org', 'three')).errors,
    /no DKIM key for example.org with the selector/,
  )
  const { out } = await ctl('dkim', 'rotate', 'example.org', 'two')
  assert.match(out, /^two-\d{8}\._domainkey\.example\.org\. /)
  assert.equal((await ctl('dkim', 'rotate', 'example.org', 'one', '--new', 'one')).code, 1)
})

/** What the signer writes when it has found the record. */
async function see(key: Parameters<typeof readSuccessors>[0], visibleAt = Date.now()): Promise<void> {
  const successors = await readSuccessors(key)
  await writeSuccessors(
    key,
    successors.map((one) => ({ visibleAt, ...one })),
  )
}
