import assert from 'node:assert/strict'
import { chmod, mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'

import type { LocalAction, PipelineSettings } from '../../shared/config/model.ts'
import type { LocalTarget } from '../../shared/mail/envelope.ts'
import { mayRepeat, openDelivery } from './index.ts'
import { localAction, stageContext, stageMessage } from './testing.ts'

const folders: string[] = []
after(() => Promise.all(folders.map((folder) => rm(folder, { recursive: true, force: true }))))
const isRoot = process.getuid?.() === 0
const enabled = { mda: { enabled: true } }

async function temporary(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'sluice-target-'))
  folders.push(folder)
  await chmod(folder, 0o777)
  return folder
}

/** One recipient with a target, and another without, by a Maildir action. */
async function deliver(base: string, target: LocalTarget, pipeline: Partial<PipelineSettings> = enabled) {
  const action = localAction({ kind: 'maildir', path: `${base}/%{user.username}`, junk: false })
  const context = stageContext([action], pipeline)
  const message = stageMessage({ to: ['list@example.org', 'jane@example.org'] })
  const [first, ...others] = message.envelope.recipients
  assert.ok(first !== undefined)
  const envelope = { ...message.envelope, recipients: [{ ...first, target }, ...others] }
  const stage = await openDelivery()
  const disposition = await stage.handle({ ...message, envelope }, context)
  await stage.close()
  assert.ok(disposition.kind === 'settled')
  return disposition.attempts.toSorted((one, other) => one.recipient - other.recipient).map(({ reply }) => reply)
}

test('a copy goes where its alias says, and the other recipients where the action says', async () => {
  const base = await temporary()
  const replies = await deliver(base, { kind: 'file', text: join(base, 'archive.mbox') })
  assert.deepEqual(
    replies.map(({ code }) => code),
    [250, 250],
  )
  assert.match(
    await readFile(join(base, 'archive.mbox'), 'utf8'),
    /^From joe@example\.net .*\n.*\nDelivered-To: list@example/,
  )
  assert.deepEqual((await readdir(base)).sort(), ['archive.mbox', 'jane'])
})

test('the command of an alias gets its copy, and its exit code is the answer for that one alone', async () => {
  const base = await temporary()
  const script = join(base, 'script')
  await writeFile(script, `#!/bin/sh\ncat > ${base}/got; echo "$1" >> ${base}/got; echo no such queue; exit 1\n`)
  await chmod(script, 0o755)
  const replies = await deliver(base, { kind: 'command', text: `${script} "a b"` })
  assert.deepEqual(
    replies.map(({ code, text }) => `${code} ${text}`),
    ['554 no such queue', '250 Delivered'],
  )
  assert.match(await readFile(join(base, 'got'), 'utf8'), /^Return-Path: <joe@example\.net>\n[^]*\na b\n$/)
})

test('what was accepted while commands were enabled waits when they are not any more', async () => {
  const base = await temporary()
  for (const kind of ['command', 'file'] as const) {
    const [reply] = await deliver(base, { kind, text: `${base}/x` }, {})
    assert.match(`${reply?.code} ${reply?.text}`, /^451 .*mda enable/)
  }
  assert.deepEqual(await readdir(base), ['jane'])
})

test('/dev/null takes everything and keeps nothing', async () => {
  const [reply] = await deliver(await temporary(), { kind: 'file', text: '/dev/null' })
  assert.equal(reply?.code, 250)
  assert.equal((await readdir('/dev')).includes('null.lock'), false)
})

test('what a .forward file says is never done with rights that are not its of its user', async () => {
  const base = await temporary()
  const user = isRoot ? 'root' : 'nobody'
  for (const [kind, text] of [
    ['command', `/bin/touch ${base}/made`],
    ['file', join(base, 'made')],
  ] as const) {
    const [reply] = await deliver(base, { kind, text, user })
    assert.deepEqual([reply?.code, reply?.enhanced], [451, '4.3.5'], kind)
  }
  assert.deepEqual(await readdir(base), ['jane'])
})

test('a command of .forward runs as its user', { skip: !isRoot }, async () => {
  const base = await temporary()
  const [reply] = await deliver(base, { kind: 'command', text: `/bin/sh -c 'id -u > ${base}/uid'`, user: 'nobody' })
  assert.equal(reply?.code, 250, reply?.text)
  const nobody = (await readFile('/etc/passwd', 'utf8')).split('\n').find((line) => line.startsWith('nobody:'))
  assert.equal(await readFile(join(base, 'uid'), 'utf8'), `${nobody?.split(':')[2]}\n`)
})

test('only a Maildir knows by itself that it has the copy: for all others a repetition is told', () => {
  const repeats = (method: LocalAction['method'], target?: LocalTarget): boolean =>
    mayRepeat(stageMessage(target === undefined ? {} : { target }), stageContext([localAction(method)]))
  const maildir = { kind: 'maildir', path: '/mail/%{user.username}', junk: false } as const
  assert.equal(repeats(maildir), false)
  assert.equal(repeats(maildir, { kind: 'command', text: '/bin/true' }), true)
  assert.equal(repeats({ kind: 'lmtp', destination: '/run/lmtp', rcptTo: false }), true)
  assert.equal(repeats({ kind: 'mbox' }), true)
})
