import assert from 'node:assert/strict'
import { chmod, mkdir, readFile, readdir, unlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import type { TestContext } from 'node:test'

import { atEnd } from '../support/at-end.ts'
import { standardConf, standardPipeline } from '../support/configurations.ts'
import { MailSystem } from '../support/mail-system.ts'
import { idOf, testMessage } from '../support/messages.ts'
import { SmtpClient } from '../support/smtp-client.ts'
import { tempFolder } from '../support/temp-folder.ts'

async function send(system: MailSystem, to: readonly string[], from = 'bob@sluice.test'): Promise<string> {
  const client = await SmtpClient.ready({ port: system.port('smtp') })
  const reply = await client.send({ from, to, content: testMessage({ id: 'local', body: 'From here on\n.' }) })
  await client.quit()
  return idOf(reply)
}

async function refusal(system: MailSystem, to: string): Promise<string> {
  const client = await SmtpClient.ready({ port: system.port('smtp') })
  await client.command('MAIL FROM:<bob@sluice.test>')
  const reply = await client.command(`RCPT TO:<${to}>`)
  await client.quit()
  return reply.raw
}

/** Resolves when that many copies of the message have been delivered. */
function delivered(system: MailSystem, id: string, copies: number): Promise<unknown> {
  let left = copies
  return system.waitForLog((line) => {
    if (line.event === 'delivered' && line.id === id) left -= 1
    return left === 0
  })
}

/** A folder that everybody may write to, with a script in it. */
async function workplace(t: TestContext, script: string) {
  const { path, remove } = await tempFolder('local')
  atEnd(t, remove)
  await chmod(path, 0o777)
  await mkdir(join(path, 'mailboxes'))
  await writeFile(join(path, 'script'), `#!/bin/sh\n${script}\n`)
  await chmod(join(path, 'script'), 0o755)
  return { path, script: join(path, 'script') }
}

test('an alias leads to a mailbox file, a command, a file and a list, and each gets its copy; so do reports', async (t) => {
  const { path, script } = await workplace(t, 'cat > "${0%/*}/piped"; echo "$1 $LOCAL $SENDER" >> "${0%/*}/piped"')
  const system = await MailSystem.start({
    conf: standardConf({
      deliver: 'mbox alias <aliases> userbase <people>',
      more: 'table aliases file:{{folder}}/aliases',
    }),
    pipeline: standardPipeline(`mbox "${path}/mailboxes"\nmda enable`),
    files: {
      aliases: [
        'team: jane, tickets, archive, ":include:{{folder}}/list"',
        `tickets: "|${script} %{rcpt}"`,
        `archive: "${path}/archive.mbox"`,
        'broken: ":include:/nowhere/list"',
        `shell: "|${script} | cat"`,
        'fails: "|/bin/false"',
        'info: jane',
      ].join('\n'),
      list: '# more of them\njoe\n',
    },
  })
  atEnd(t, () => system.stop())

  const id = await send(system, ['team@sluice.test'])
  await delivered(system, id, 4)

  const trace = 'Return-Path: <bob@sluice.test>\nDelivered-To: team@sluice.test\nX-Original-To: team@sluice.test\n'
  for (const file of ['mailboxes/jane', 'mailboxes/joe', 'archive.mbox']) {
    const text = await readFile(join(path, file), 'utf8')
    assert.match(text, /^From bob@sluice\.test \w{3} \w{3} \d{2} \d{2}:\d{2}:\d{2} \d{4}\n/, file)
    assert.equal(text.includes(`\n${trace}`), true, file)
    assert.match(text, /\n\n>From here on\n\.\n\n$/, file)
  }
  assert.deepEqual((await readdir(join(path, 'mailboxes'))).sort(), ['jane', 'joe'])
  const piped = await readFile(join(path, 'piped'), 'utf8')
  assert.equal(piped.startsWith(trace), true)
  assert.match(piped, /\n\nFrom here on\n\.\nteam@sluice\.test tickets bob@sluice\.test\n$/)

  assert.match(await refusal(system, 'broken@sluice.test'), /^451 /)
  assert.match(await refusal(system, 'shell@sluice.test'), /^451 4\.3\.5/)

  const failed = await send(system, ['fails@sluice.test'], 'info@sluice.test')
  const report = await system.waitForLog((line) => line.event === 'reported' && line.about === failed)
  await delivered(system, String(report.id), 1)
  const inbox = await readFile(join(path, 'mailboxes/jane'), 'utf8')
  assert.match(inbox, /\nFrom MAILER-DAEMON .*\nDelivered-To: info@sluice\.test\nX-Original-To: info@sluice\.test\n/)
  assert.match(inbox, /The command ended with exit code 1/)

  const explained = await system.ctl('explain', 'team@sluice.test')
  assert.match(explained.stdout, /tickets@sluice\.test by \|.*script %\{rcpt\}/)
})

test('a delivery agent gets the extension as its argument, and nobody can give it another', async (t) => {
  const { path, script } = await workplace(
    t,
    'base="${0%/*}"; { for one; do echo "[$one]"; done; cat > /dev/null; } > "$base/run.$$"; mv "$base/run.$$" "$base/argv.$$"',
  )
  const system = await MailSystem.start({
    conf: standardConf({
      deliver: `mda "${script} -a \\"$EXTENSION\\" -f %{sender} -- %{user.username}" userbase <people>`,
    }),
    pipeline: standardPipeline('mda enable'),
  })
  atEnd(t, () => system.stop())
  const argv = async (id: string): Promise<string> => {
    await delivered(system, id, 1)
    const [file = ''] = (await readdir(path)).filter((name) => name.startsWith('argv.'))
    const text = await readFile(join(path, file), 'utf8')
    await unlink(join(path, file))
    return text
  }

  assert.equal(
    await argv(await send(system, ['jane+lists@sluice.test'])),
    '[-a]\n[lists]\n[-f]\n[bob@sluice.test]\n[--]\n[jane]\n',
  )
  const hostile: readonly (readonly [from: string, to: string, argv: string])[] = [
    ['bob@sluice.test', 'jane@sluice.test', '[-a]\n[]\n[-f]\n[bob@sluice.test]\n[--]\n[jane]\n'],
    [
      `"a b; touch ${path}/hit #"@sluice.test`,
      'jane+`touch${IFS}hit`@sluice.test',
      `[-a]\n[\`touch\${IFS}hit\`]\n[-f]\n[:a:b::touch:${path}/hit:::@sluice.test]\n[--]\n[jane]\n`,
    ],
    ['-oQ/tmp@sluice.test', 'jane+-rf@sluice.test', '[-a]\n[:rf]\n[-f]\n[:oQ/tmp@sluice.test]\n[--]\n[jane]\n'],
    ["'|x'@sluice.test", "jane+'|/bin/x'@sluice.test", "[-a]\n['|/bin/x']\n[-f]\n[::x:@sluice.test]\n[--]\n[jane]\n"],
  ]
  for (const [from, to, expected] of hostile) assert.equal(await argv(await send(system, [to], from)), expected)
  for (const to of [
    '"jane\\ touch x"@sluice.test',
    '|/bin/x@sluice.test',
    '/etc/passwd@sluice.test',
    '-rf@sluice.test',
  ])
    assert.match(await refusal(system, to), /^550 /, to)
  assert.deepEqual(await readdir(path), ['mailboxes', 'script'])
})

test('the exit code of a delivery agent is what the sender is told', async (t) => {
  const { script } = await workplace(t, 'cat > /dev/null; echo "over quota"; exit 75')
  const system = await MailSystem.start({
    conf: standardConf({ deliver: `mda "${script}" userbase <people>` }),
    pipeline: standardPipeline('mda enable'),
  })
  atEnd(t, () => system.stop())
  const id = await send(system, ['jane@sluice.test'])
  const line = await system.waitForEvent('delayed', id)
  assert.match(JSON.stringify(line), /over quota/)
})

test('without mda enable no command is run, and mbox needs its folder: the start says so', async () => {
  for (const [deliver, expected] of [
    ['mda "/bin/cat"', /commands are not run here.*mda enable/s],
    ['mbox', /mbox has no folder of mailboxes.*mbox "\/var\/mail"/s],
  ] as const) {
    const { exit, text } = await MailSystem.refusal({
      conf: standardConf({ deliver: `${deliver} userbase <people>` }),
      pipeline: standardPipeline(),
    })
    assert.equal(exit.code, 78)
    assert.match(text, expected)
  }
})
