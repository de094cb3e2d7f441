import assert from 'node:assert/strict'
import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, constants, mkdtempSync, openSync, readFileSync, readSync, rmSync } from 'node:fs'
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

test('what a reader who stands still has not taken is written once, at the end of the process too', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'log-'))
  const path = join(folder, 'pipe')
  execFileSync('mkfifo', [path])
  const fd = openSync(path, constants.O_RDWR | constants.O_NONBLOCK)
  t.after(() => {
    closeSync(fd)
    rmSync(folder, { recursive: true })
  })
  const output = new LogOutput(fd)
  const waits = new Promise<() => void>((resolve) => {
    t.mock.method(globalThis, 'setTimeout', (again: () => void) => resolve(again))
  })
  const lines = Array.from({ length: 10_000 }, (_one, number) => `line ${number}\n`).join('')
  output.write(lines)
  const again = await waits
  const begun = drain(fd)
  assert.ok(begun.length > 0 && begun.length < lines.length, 'the pipe is smaller than what is written')
  output.flushSync()
  assert.ok(begun + drain(fd) === lines)
  again()
  output.write('the last\n')
  output.flushSync()
  assert.equal(drain(fd), 'the last\n')
})

/** All that a pipe holds. */
function drain(fd: number): string {
  const octets = Buffer.alloc(1_048_576)
  let length = 0
  try {
    for (;;) length += readSync(fd, octets, length, octets.length - length, null)
  } catch (error) {
    assert.equal((error as NodeJS.ErrnoException).code, 'EAGAIN')
    return octets.toString('utf8', 0, length)
  }
}

test('a full disk loses lines, and those that come when it has room again are written', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'log-'))
  t.after(() => rmSync(folder, { recursive: true }))
  const full = openSync('/dev/full', 'w')
  const output = new LogOutput(full)
  output.write('lost\n')
  output.flushSync()
  closeSync(full)
  const fd = openSync(join(folder, 'log'), 'w')
  assert.equal(fd, full, 'the number stands for another file now')
  output.write('written\n')
  output.flushSync()
  closeSync(fd)
  assert.equal(readFileSync(join(folder, 'log'), 'utf8'), 'written\n')
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
