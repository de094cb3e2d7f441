import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import type { TestContext } from 'node:test'

import { responseOf, startAuthService } from '../../shared/login/testing.ts'
import { runControl } from './run.ts'

const hash = '$5$rounds=1000$testsalt$ostqQPLN6R9T.A/s7AkCrhncjxFX7jOkMWhCh1.OUm8'

test('auth test says who lets a user in, and who does not', async (t) => {
  const service = await startAuthService({
    answer: ([, id = '', , ...fields]) =>
      responseOf(fields) === '\0Joe\0secret' ? `OK\t${id}\tuser=joe\n` : `FAIL\t${id}\n`,
  })
  t.after(() => service.close())
  const place = service.place.kind === 'tcp' ? `${service.place.host}:${service.place.port}` : ''
  const ctl = await site(t, `login from <creds>, dovecot "${place}"`)
  assert.deepEqual(await ctl('secret', 'jane'), { code: 0, out: 'table creds: accepted as jane\n' })
  assert.deepEqual(await ctl('secret', 'Joe'), {
    code: 0,
    out: `table creds: refused\ndovecot ${place}: accepted as joe\n`,
  })
  const { code, out } = await ctl('wrong', 'jane', '--json')
  assert.equal(code, 1)
  assert.deepEqual(JSON.parse(out), {
    accepted: false,
    answers: [
      { backend: 'table creds', result: 'refused' },
      { backend: `dovecot ${place}`, result: 'refused' },
    ],
  })
  await service.close()
  assert.match((await ctl('secret', 'joe')).out, /^dovecot .*: unavailable: dovecot: /m)
})

test('auth test asks the table of a listener, and says when nobody can be asked', async (t) => {
  const ctl = await site(t, '')
  assert.deepEqual(await ctl('secret', 'jane', '--port', '587'), { code: 0, out: 'table creds: accepted as jane\n' })
  assert.equal((await ctl('secret', 'jane')).code, 78)
  assert.equal((await ctl('secret', 'jane', '--port', '25')).code, 2)
  assert.equal((await ctl('', 'jane', '--port', '587')).code, 1)
  assert.equal((await ctl('t', 'jane', '--port', '587', '--token')).out, 'no back end knows anything of this kind\n')
})

async function site(t: TestContext, pipeline: string) {
  const folder = await mkdtemp(join(tmpdir(), 'auth-test-'))
  t.after(() => rm(folder, { recursive: true }))
  const [smtpd, pipelineConf] = [join(folder, 'smtpd.conf'), join(folder, 'pipeline.conf')]
  await writeFile(join(folder, 'x'), 'x')
  await writeFile(pipelineConf, pipeline)
  await writeFile(
    smtpd,
    [
      `table creds { "jane" = "${hash}" }`,
      'pki p cert "x" key "x"',
      'listen on lo port 25',
      'listen on lo port 587 tls-require pki p auth <creds>',
      'action "out" relay',
      'match for any action "out"',
    ].join('\n'),
  )
  return async (secret: string, ...args: readonly string[]) => {
    const out: string[] = []
    const terminal = {
      print: (line: string) => void out.push(`${line}\n`),
      warn: () => undefined,
      write: async () => undefined,
      paint: (_colour: string, text: string) => text,
      askSecret: async () => secret,
      isWatched: false,
      confirm: async () => false,
    }
    const words = ['auth', 'test', ...args, '-f', smtpd, '-p', pipelineConf, '-d', folder]
    const code = await runControl(words, { terminal, environment: {} })
    return { code, out: out.join('') }
  }
}
