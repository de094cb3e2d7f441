import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { test } from 'node:test'
import { promisify } from 'node:util'

import { commands } from './commands.ts'
import { runTrimmed } from './testing.ts'

const run = promisify(execFile)

/** What bash offers behind these words; the last one is being typed. */
async function offered(script: string, ...words: readonly string[]): Promise<readonly string[]> {
  const line = ['sluicectl', ...words]
  const ask = `${script}
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _sluicectl; printf '%s\\n' "\${COMPREPLY[@]}"`
  const { stdout } = await run('bash', ['-euc', ask, 'bash', ...line])
  return stdout.split('\n').filter((word) => word !== '')
}

test('bash completes every command, word by word, and its options', async () => {
  const { code, out } = await runTrimmed(['completion', 'bash'], {})
  assert.equal(code, 0)
  for (const { words } of commands) {
    for (let depth = 0; depth < words.length; depth += 1) {
      const found = await offered(out, ...words.slice(0, depth), '')
      assert.ok(found.includes(words[depth] ?? ''), `${words.join(' ')} at ${depth}: ${found.join(' ')}`)
    }
  }
  assert.deepEqual(await offered(out, 'show', 'me'), ['message'])
  assert.ok((await offered(out, '-f', 'x.conf', 'show', 'queue', '--li')).includes('--limit'))
  assert.deepEqual(await offered(out, 'show', 'queue', '--js'), ['--json'])
  assert.deepEqual(await offered(out, '-f', '/etc/hostn'), ['/etc/hostname'])
})

test('the script for fish has every command and option; other shells are told what there is', async () => {
  const { out } = await runTrimmed(['completion', 'fish'], {})
  for (const { words, options = [] } of commands) {
    assert.ok(out.includes(` -a ${words.at(-1)} `), words.join(' '))
    for (const { name } of options) assert.ok(out.includes(` -l ${name} `), name)
  }
  const { code, errors } = await runTrimmed(['completion', 'tcsh'], {})
  assert.deepEqual([code, errors], [2, "sluicectl: no script for 'tcsh'; there are: bash fish"])
})
