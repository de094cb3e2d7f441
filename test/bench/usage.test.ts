import assert from 'node:assert/strict'
import { test } from 'node:test'

import { atEnd } from '../support/at-end.ts'
import { startProcess } from '../support/process.ts'
import { UsageMeter } from './usage.ts'

const burn = 'while (process.cpuUsage().user < 500_000) {}'

test('the time of a child that has ended is counted, and memory is seen', { skip: notLinux() }, async (t) => {
  const shell = startProcess('sh', ['-c', `"$0" -e '${burn}'; echo done; exec sleep 60`, process.execPath])
  atEnd(t, () => shell.stop())
  const meter = new UsageMeter([shell.pid])
  await shell.waitForLine((line) => line === 'done')
  const usage = meter.stop()
  assert.ok(usage.cpuSeconds >= 0.45, `${usage.cpuSeconds} s were seen of 0.5`)
  assert.ok(usage.peakPssBytes > 0)
})

function notLinux(): string | false {
  return process.platform === 'linux' ? false : 'reads /proc'
}
