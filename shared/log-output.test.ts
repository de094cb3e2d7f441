import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'

import { LogOutput } from './log-output.ts'

test('lines are written in their order, by turns and at the end', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'log-'))
  t.after(() => rmSync(folder, { recursive: true }))
  const fd = openSync(join(folder, 'log'), 'w')
  const output = new LogOutput(fd)
  const lines = Array.from({ length: 5_000 }, (_one, number) => `line ${number} ü\n`)
  for (const [number, line] of lines.entries()) {
    output.write(line)
    if (number % 700 === 0) await new Promise((resolve) => setTimeout(resolve, 5))
  }
  const text = () => readFileSync(join(folder, 'log'), 'utf8')
  for (let seen = -1; seen !== text().length; await new Promise((resolve) => setTimeout(resolve, 50))) {
    seen = text().length
    output.flush()
  }
  output.write('the last\n')
  output.flushSync()
  assert.equal(text(), `${lines.join('')}the last\n`)
  closeSync(fd)
})

const program = `
import { createLog } from ${JSON.stringify(new URL('./log.ts', import.meta.url).href)}
const { log, flush } = createLog('info', {})
process.stdin.once('data', () => {
  for (let number = 0; number < 2_000; number += 1) log.info({ number }, 'nobody reads this')
  flush()
  log.info({}, 'nor this')
  flush()
  process.exit(7)
})
process.stderr.write('ready')
`

test('a process whose log nobody reads any more goes on, and ends when it is told to', async () => {
  const child = spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', program])
  await once(child.stderr, 'data')
  child.stdout.destroy()
  child.stdin.write('go')
  const [code] = (await once(child, 'exit')) as [number]
  assert.equal(code, 7)
})
