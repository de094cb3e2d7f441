import assert from 'node:assert/strict'
import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'

import type { LocalAction, PipelineSettings } from '../../shared/config/model.ts'
import { SmtpError } from '../../shared/mail/reply.ts'
import { CommandDelivery } from './deliver-command.ts'
import { runCommand } from './run-command.ts'
import type { CommandRun } from './run-command.ts'
import { deliveryOf, localAction, stageMessage } from './testing.ts'
import type { TestMessage } from './testing.ts'
import { CommandTurns } from './turns.ts'

const folders: string[] = []
after(() => Promise.all(folders.map((folder) => rm(folder, { recursive: true, force: true }))))

/** A folder of its own, for whoever the command runs as. */
async function temporary(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'sluice-command-'))
  folders.push(folder)
  await chmod(folder, 0o777)
  return folder
}

async function script(text: string): Promise<string> {
  const path = join(await temporary(), 'script')
  await writeFile(path, `#!/bin/sh\n${text}\n`)
  await chmod(path, 0o755)
  return path
}

const users = { name: 'users', source: { kind: 'inline' }, at: { file: 'f', line: 1, column: 1 } } as const

/** As a user, who is `nobody` where the test runs as root. */
async function deliver(
  command: string,
  parts: TestMessage = {},
  more: Partial<LocalAction> = {},
  pipeline: Partial<PipelineSettings> = { mda: { enabled: true } },
) {
  const method = { kind: 'mda', command } as const
  const delivery = deliveryOf(stageMessage(parts), localAction(method, { userbase: users, ...more }), pipeline)
  const home = folders.at(-1) ?? '/tmp'
  const tables = { ...delivery.context.tables, userInfo: () => ({ uid: 65_534, gid: 65_534, home }) }
  const [attempt] = await new CommandDelivery().deliver(
    { ...delivery, context: { ...delivery.context, tables } },
    method,
  )
  return attempt?.reply
}

test('a program gets the message as it is delivered, its arguments, and no more of the environment than it may have', async () => {
  const path = await script('cat > "$HOME/mail"\nfor one; do echo "[$one]"; done > "$HOME/argv"\nenv > "$HOME/env"')
  process.env.SLUICE_TEST_SECRET = 'secret'
  const reply = await deliver(`${path} -a "$EXTENSION" -f %{sender} "%{user.username} %{dest.domain}"`, {
    to: ['Jane+lists@example.org'],
    original: 'team@example.org',
  })
  delete process.env.SLUICE_TEST_SECRET
  assert.equal(reply?.code, 250)
  const folder = join(path, '..')
  assert.equal(
    await readFile(join(folder, 'mail'), 'utf8'),
    'Return-Path: <joe@example.net>\nDelivered-To: team@example.org\nX-Original-To: team@example.org\nSubject: Hello\n\nHow are you?\n',
  )
  assert.equal(
    await readFile(join(folder, 'argv'), 'utf8'),
    '[-a]\n[lists]\n[-f]\n[joe@example.net]\n[jane example.org]\n',
  )
  const environment = (await readFile(join(folder, 'env'), 'utf8')).trim().split('\n').sort()
  assert.deepEqual(
    environment.filter((line) => !/^(?:PWD|OLDPWD|SHLVL|_)=/.test(line)),
    [
      'DOMAIN=example.org',
      'EXTENSION=lists',
      `HOME=${folder}`,
      'LOCAL=Jane+lists',
      'LOGNAME=jane',
      'ORIGINAL_RECIPIENT=team@example.org',
      'PATH=/usr/local/bin:/usr/bin:/bin',
      'RECIPIENT=Jane+lists@example.org',
      'SENDER=joe@example.net',
      'SHELL=/bin/sh',
      'USER=jane',
    ],
  )
})

test('nothing a stranger writes is run, split or taken as an option', async () => {
  for (const local of [
    '$(touch${IFS}x)',
    '`touch${IFS}x`',
    '"a b; touch x #"',
    '"\\"; touch x; \\""',
    '-rf',
    "'x'",
    '|x',
    '/x',
  ]) {
    const path = await script(
      'for one; do echo "[$one]"; done > "$HOME/argv"; ls "$HOME" > "$HOME/files"; cat > /dev/null',
    )
    const reply = await deliver(`${path} %{dest.user} %{sender.user} "$LOCAL" end`, {
      to: [`${local}@example.org`],
      from: `${local}@example.net`,
    })
    assert.equal(reply?.code, 250, local)
    const words = (await readFile(join(path, '../argv'), 'utf8')).trim().split('\n')
    assert.equal(words.length, 4, local)
    assert.match(words[0] ?? '', /^\[[^-][^\s"'`$;&|<>()\\*?#{}]*\]$/, local)
    assert.equal(words[3], '[end]')
    assert.deepEqual((await readFile(join(path, '../files'), 'utf8')).trim().split('\n'), ['argv', 'files', 'script'])
  }
})

test('the exit code decides, and the last line of output is the reason', async () => {
  const cases = [
    ['echo one; echo "no such folder" >&2; exit 1', 554, '5.3.0', 'no such folder'],
    ['echo "try later"; echo; exit 75', 451, '4.3.0', 'try later'],
    ['exit 71', 451, '4.3.0', 'The command ended with exit code 71'],
    ['exit 67', 554, '5.3.0', 'The command ended with exit code 67'],
    ["printf 'a\\033[1m\\tb\\000c'; exit 1", 554, '5.3.0', 'a [1m b c'],
    ['kill -9 $$', 451, '4.3.0', 'The command was ended by SIGKILL'],
    ['echo fine', 250, '2.0.0', 'Delivered'],
  ] as const
  for (const [text, ...expected] of cases) {
    const reply = await deliver(await script(text))
    assert.deepEqual([reply?.code, reply?.enhanced, reply?.text], expected, text)
  }
})

test('a program that is not there, and commands where they are switched off, mean later', async () => {
  const missing = await deliver('/nowhere/to/be/found')
  assert.deepEqual([missing?.code, missing?.text], [451, 'The command cannot be started'])
  const path = await script('touch "$HOME/ran"')
  const off = await deliver(path, {}, {}, { mda: { enabled: false } })
  assert.deepEqual([off?.code, off?.enhanced], [451, '4.3.5'])
  assert.match(off?.text ?? '', /mda enable/)
  await assert.rejects(readFile(join(path, '../ran')), /ENOENT/)
})

test('a wrapper runs with the whole command inside', async () => {
  const outer = await script('echo "[$1]" > "$HOME/outer"; shift; exec "$@"')
  const reply = await deliver(
    "/bin/sh -c 'exit $1' sh 75",
    {},
    { wrapper: { name: 'w', command: `${outer} w %{mda}` } },
  )
  assert.equal(reply?.code, 451)
  assert.equal(await readFile(join(outer, '../outer'), 'utf8'), '[w]\n')
})

test('no command is run as root', { skip: process.getuid?.() !== 0 }, async () => {
  const method = { kind: 'mda', command: '/bin/true' } as const
  for (const account of [{ uid: 0, gid: 0, home: '/root' }, undefined]) {
    const action = localAction(method, account === undefined ? {} : { userbase: users })
    const delivery = deliveryOf(stageMessage(), action, { mda: { enabled: true } })
    const tables = { ...delivery.context.tables, userInfo: () => account }
    const context = { ...delivery.context, tables }
    const [attempt] = await new CommandDelivery().deliver({ ...delivery, context }, method)
    assert.deepEqual([attempt?.reply.code, attempt?.reply.enhanced], [451, '4.3.5'])
  }
})

async function* chunks(...texts: string[]) {
  for (const text of texts) yield Buffer.from(text)
}

function commandRun(argv: readonly string[], more: Partial<CommandRun> = {}): CommandRun {
  return {
    argv,
    environment: { PATH: '/usr/bin:/bin' },
    folder: '/',
    input: chunks('x'),
    timeoutMs: 30_000,
    signal: new AbortController().signal,
    ...more,
  }
}

test('when time is over the program and all it started are killed', async () => {
  const folder = await temporary()
  const text = `sleep 300 & echo $! > ${folder}/pid; wait`
  const result = await runCommand(commandRun(['/bin/sh', '-c', text], { timeoutMs: 300 }))
  assert.deepEqual(result, { kind: 'timeout' })
  const pid = Number(await readFile(join(folder, 'pid'), 'utf8'))
  while (await isAlive(pid)) await new Promise((resolve) => setImmediate(resolve))
})

test('when the service stops the program is killed', async () => {
  const stop = new AbortController()
  async function* input() {
    yield Buffer.from('x')
    stop.abort(new Error('stopping'))
  }
  await assert.rejects(runCommand(commandRun(['sleep', '300'], { signal: stop.signal, input: input() })), /stopping/)
})

test('a program never takes half a message for a whole one', async () => {
  const folder = await temporary()
  async function* broken() {
    yield Buffer.from('half')
    throw new Error('the spool is gone')
  }
  const text = `cat > /dev/null; touch ${folder}/whole`
  await assert.rejects(runCommand(commandRun(['/bin/sh', '-c', text], { input: broken() })), /the spool is gone/)
  await assert.rejects(readFile(join(folder, 'whole')), /ENOENT/)
})

test('a program may end well without reading, and leave something behind that keeps its output open', async () => {
  const input = chunks(...Array.from({ length: 64 }, () => 'x'.repeat(65_536)))
  const early = await runCommand(commandRun(['true'], { input }))
  assert.deepEqual(early, { kind: 'exited', code: 0, lastLine: '' })
  const left = await runCommand(commandRun(['/bin/sh', '-c', 'sleep 3 & echo started']))
  assert.deepEqual(left, { kind: 'exited', code: 0, lastLine: 'started' })
})

test('no user has more commands running than he may, and others do not wait for him', async () => {
  const turns = new CommandTurns()
  const limits = { all: 3, perUser: 2 }
  const events: string[] = []
  const ends: (() => void)[] = []
  const run = (name: string) =>
    turns.take(name.slice(0, 3), limits, () => {
      events.push(name)
      return new Promise<void>((resolve) => ends.push(resolve))
    })
  const all = ['joe1', 'joe2', 'joe3', 'ann1', 'ann2'].map((name) => run(name))
  await Promise.resolve()
  assert.deepEqual(events, ['joe1', 'joe2', 'ann1'])
  ends.shift()?.()
  await all[0]
  assert.deepEqual(events, ['joe1', 'joe2', 'ann1', 'joe3'])
  while (ends.length > 0) {
    ends.shift()?.()
    await new Promise((resolve) => setImmediate(resolve))
  }
  await Promise.all(all)
  assert.equal(events.at(-1), 'ann2')
})

test('who gets no turn is told to come again', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] })
  const turns = new CommandTurns()
  const limits = { all: 1, perUser: 1 }
  let end = (): void => {}
  const first = turns.take('joe', limits, () => new Promise<void>((resolve) => (end = resolve)))
  const second = turns.take('ann', limits, async () => {})
  t.mock.timers.tick(5_000)
  await assert.rejects(second, (error) => error instanceof SmtpError && error.reply.code === 451)
  end()
  await first
})

async function isAlive(pid: number): Promise<boolean> {
  try {
    const state = await readFile(`/proc/${pid}/stat`, 'utf8')
    return !/\) [ZX]/.test(state)
  } catch {
    return false
  }
}
