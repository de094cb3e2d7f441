import assert from 'node:assert/strict'
import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'

import type { PipelineSettings } from '../config/model.ts'
import { TableError } from '../config/tables.ts'
import { formatReply } from '../mail/reply.ts'
import { parseAliasValue } from './alias-value.ts'
import { resolveRecipient } from './expand.ts'
import { contextOf, mailbox } from './routing-fixture.ts'

const folder = mkdtempSync(join(tmpdir(), 'sluice-expand-'))
after(() => rmSync(folder, { recursive: true }))
const me = process.getuid?.() ?? 0

const known = {
  name: 'users',
  source: { kind: 'inline', list: ['joe', 'ann', 'root'] },
  at: { file: '', line: 0, column: 0 },
} as const
const settings = { users: { kind: 'table', table: known } } as const
const enabled = { mda: { enabled: true } } as const

function rules(map: string, method = 'maildir "/m/%{user.username}"', options = ''): string {
  return [
    `table t { ${map} }`,
    `action "box" ${method} alias <t> ${options}`,
    'action "out" relay',
    'match from any for domain a.org action "box"',
    'match from local for any action "out"\n',
  ].join('\n')
}

/** Where the copies of a recipient go, or the refusal. */
function answer(text: string, recipient: string, pipeline: Partial<PipelineSettings> = {}): string {
  const resolution = resolveRecipient(contextOf(text, {}, { ...settings, ...pipeline }), mailbox(recipient))
  if (resolution.kind === 'rejected') return formatReply(resolution.reply)
  return resolution.recipients
    .map(
      ({ mailbox: to, target }) =>
        `${to}${target === undefined ? '' : ` ${target.kind}:${target.user ?? ''}:${target.text}`}`,
    )
    .join(', ')
}

function file(name: string, text: string, mode = 0o644): string {
  const path = join(folder, name)
  writeFileSync(path, text)
  chmodSync(path, mode)
  return path
}

/** A home folder below `homes`, with a .forward file. */
function home(homes: string, user: string, text: string, mode = 0o644): void {
  mkdirSync(join(folder, homes, user), { recursive: true, mode: 0o755 })
  chmodSync(join(folder, homes, user), 0o755)
  file(join(homes, user, '.forward'), text, mode)
}

test('an alias may name a list of targets in a file, which may name others', () => {
  const more = file('more', 'ann\n')
  const list = file('list', `# the team\njoe, far@x.org\n\n  :include:${more}\r\n`)
  assert.equal(answer(rules(`team = ":include:${list}"`), 'team@a.org'), 'joe@a.org, far@x.org, ann@a.org')
})

test('a file that includes itself is read once, a chain of files ends, and so does a list without end', () => {
  const self = file('self', `joe, :include:${join(folder, 'self')}, :include:${join(folder, 'self')}\n`)
  assert.equal(answer(rules(`team = ":include:${self}"`), 'team@a.org'), 'joe@a.org')
  for (let index = 0; index < 12; index += 1) file(`c${index}`, `:include:${folder}/c${index + 1}\n`)
  file('c12', 'joe\n')
  const problem = '524 5.2.4 Mailing list expansion problem'
  assert.equal(answer(rules(`team = ":include:${folder}/c0"`), 'team@a.org'), problem)
  const long = file('long', Array.from({ length: 3000 }, (_, index) => `u${index}@x.org\n`).join(''))
  assert.equal(answer(rules(`team = ":include:${long}"`), 'team@a.org'), problem)
})

test('an include that is not there, or is no file of reasonable size, is temporary', () => {
  const big = file('big', 'joe\n'.repeat(100_000))
  for (const path of [join(folder, 'missing'), folder, big]) {
    const context = contextOf(rules(`team = ":include:${path}"`), {}, settings)
    assert.throws(() => resolveRecipient(context, mailbox('team@a.org')), TableError, path)
  }
})

test('commands and files of an alias are carried out only where pipeline.conf enables them', () => {
  const text = rules('tickets = "|/bin/rt --queue x", log = "/var/log/mail.mbox", both = "joe, tickets, log"')
  assert.equal(
    answer(text, 'both@a.org', enabled),
    'joe@a.org, tickets@a.org command::/bin/rt --queue x, log@a.org file::/var/log/mail.mbox',
  )
  for (const name of ['tickets', 'log', 'both'])
    assert.match(answer(text, `${name}@a.org`), /^451 4\.3\.5 .*mda enable/, name)
})

test('what cannot be run without a shell, and a path that leads about, are not accepted', () => {
  for (const target of ['|/bin/x | /bin/y', '|', '/a/../etc/passwd', '/', '/dir/', ':include:list', '|%{sender}'])
    assert.deepEqual(
      parseAliasValue(`"${target}"`).map((one) => one.kind),
      ['unusable'],
      target,
    )
  assert.match(answer(rules('x = "|/bin/x > /f"'), 'x@a.org', enabled), /^451 4\.3\.5/)
})

test('no address makes a command or a file of itself', () => {
  const any = { ...enabled, users: { kind: 'any' } } as const
  const text = rules('x = y').replaceAll('<t>', '<t>')
  for (const local of ['|/bin/x', '"|/bin/x y"', '/etc/passwd', '":include:/etc/passwd"', '$(x)'])
    assert.equal(answer(text, `${local}@a.org`, any), `${local}@a.org`)
})

test('a user sends his mail on by .forward, and keeps a copy when he names himself', () => {
  const forwardFiles = join(folder, 'homes')
  const ask = (recipient: string): string => answer(rules('x = y'), recipient, { ...enabled, forwardFiles })
  home('homes', 'joe', '# on holiday\nann, far@x.org\n')
  assert.equal(ask('joe+lists@a.org'), 'ann@a.org, far@x.org')
  home('homes', 'ann', '\\ann, "|/usr/bin/vacation ann"\n')
  assert.equal(ask('ann@a.org'), 'ann@a.org, ann@a.org command:ann:/usr/bin/vacation ann')
  home('homes', 'root', 'root@a.org, /home/root/box\n')
  assert.equal(ask('root@a.org'), 'root@a.org, root@a.org file:root:/home/root/box')
})

test('no user has us read a file for him', () => {
  home('curious', 'joe', ':include:/etc/passwd\n')
  const refusal = answer(rules('x = y'), 'joe@a.org', { ...enabled, forwardFiles: join(folder, 'curious') })
  assert.match(refusal, /^451 4\.3\.5/)
})

test('.forward is not read unless pipeline.conf says so, nor for an unknown user', () => {
  home('quiet', 'joe', 'far@x.org\n')
  home('quiet', 'eve', 'far@x.org\n')
  assert.equal(answer(rules('x = y'), 'joe@a.org'), 'joe@a.org')
  const forwardFiles = join(folder, 'quiet')
  assert.equal(answer(rules('x = y'), 'eve@a.org', { forwardFiles }).slice(0, 3), '550')
  assert.equal(answer(rules('x = y', 'maildir "/m"', 'user vmail'), 'joe@a.org', { forwardFiles }), 'joe@a.org')
  assert.equal(answer(rules('x = y'), 'ann@a.org', { forwardFiles }), 'ann@a.org')
})

test('a .forward that somebody else may have written, or too long a one, is not followed', () => {
  const cases: readonly (readonly [string, () => void])[] = [
    ['writable', () => home('writable', 'joe', 'far@x.org\n', 0o664)],
    [
      'shared',
      () => {
        home('shared', 'joe', 'far@x.org\n')
        chmodSync(join(folder, 'shared/joe'), 0o775)
      },
    ],
    [
      'sticky',
      () => {
        home('sticky', 'joe', 'far@x.org\n')
        chmodSync(join(folder, 'sticky/joe'), 0o1755)
      },
    ],
    ['lengthy', () => home('lengthy', 'joe', 'far@x.org\n'.repeat(500))],
    ['many', () => home('many', 'joe', 'a\n'.repeat(101))],
    [
      'link',
      () => {
        home('link', 'joe', '')
        rmSync(join(folder, 'link/joe/.forward'))
        symlinkSync('/dev/null', join(folder, 'link/joe/.forward'))
      },
    ],
  ]
  for (const [name, make] of cases) {
    make()
    const context = contextOf(rules('x = y'), {}, { ...settings, forwardFiles: join(folder, name) })
    assert.throws(() => resolveRecipient(context, mailbox('joe@a.org')), TableError, name)
  }
})

test('the owner of .forward is the user of the userbase', () => {
  home('owners', 'joe', 'far@x.org\n')
  const ask = (uid: number) => {
    const text = rules('x = y', 'maildir "/m"', `userbase { joe = "${uid}:100:${folder}/owners/joe" }`)
    return resolveRecipient(contextOf(text, {}, { forwardFiles: join(folder, 'owners') }), mailbox('joe@a.org'))
  }
  assert.equal(ask(me).kind, 'accepted')
  assert.throws(() => ask(me + 1), TableError)
})

test('forward-only waits for a .forward file, and then nothing stays here', () => {
  const forwardFiles = join(folder, 'only')
  mkdirSync(forwardFiles, { recursive: true })
  const ask = (recipient: string): string =>
    answer(rules('x = y', 'forward-only'), recipient, { ...enabled, forwardFiles })
  assert.equal(ask('joe@a.org'), '451 4.2.1 Nothing says where mail for this user is passed on to')
  assert.equal(ask('eve@a.org').slice(0, 3), '550')
  home('only', 'ann', 'far@x.org\n')
  assert.equal(ask('ann@a.org'), 'far@x.org')
  home('only', 'root', 'root, far@x.org\n')
  assert.equal(ask('root@a.org').slice(0, 9), '451 4.2.1')
})
