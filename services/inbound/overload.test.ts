import assert from 'node:assert/strict'
import { test } from 'node:test'

import { silentLog } from '../../shared/log.ts'
import { SmtpClient } from '../../test/support/smtp-client.ts'
import { Overload, openLoadMeter, overloaded } from './overload.ts'
import { start, connected } from './testing-session.ts'

const idle = { delayMs: 2, heapShare: 0.1 }

function watched() {
  let load = idle
  const overload = new Overload(silentLog(), () => load)
  return {
    overload,
    look(next: typeof idle, times: number) {
      load = next
      for (let time = 0; time < times; time += 1) overload.look()
      return overload.refusal
    },
  }
}

test('who is late for long refuses new connections until it is far better, not only a little', () => {
  const { look, overload } = watched()
  const late = { ...idle, delayMs: 1_500 }
  assert.equal(look(late, 4), undefined)
  assert.equal(look(idle, 1), undefined)
  assert.equal(look(late, 4), undefined, 'not in a row')
  assert.equal(look(late, 1), overloaded)
  assert.match(overload.troubles[0] ?? '', /refused with 421: the process is 1\.5 s behind/)
  assert.equal(look({ ...idle, delayMs: 600 }, 10), overloaded)
  assert.equal(look(idle, 1), undefined)
  assert.deepEqual(overload.troubles, [])
})

test('who runs out of memory refuses new connections', () => {
  const { look } = watched()
  assert.equal(look({ ...idle, heapShare: 0.93 }, 5), overloaded)
  assert.equal(look({ ...idle, heapShare: 0.85 }, 5), overloaded)
  assert.equal(look({ ...idle, heapShare: 0.5 }, 1), undefined)
})

test('the meter measures this process', () => {
  const meter = openLoadMeter()
  const { delayMs, heapShare } = meter.measure()
  meter.close()
  assert.ok(delayMs >= 0 && heapShare > 0 && heapShare < 1)
})

test('an overloaded server says 421 at connect; sessions that are there go on', async (t) => {
  let load = idle
  const inbound = await start(t, { measureLoad: () => load })
  const client = await connected(t, inbound)
  load = { ...idle, delayMs: 5_000 }
  for (let time = 0; time < 5; time += 1) inbound.lookAtLoad()
  const refused = await SmtpClient.connect({ port: inbound.port })
  t.after(() => refused.destroy())
  assert.equal((await refused.reply()).raw, '421 4.3.2 Too busy now, please try again later')
  assert.equal(inbound.troubles().length, 1)
  assert.equal((await client.command('NOOP')).code, 250)
})
