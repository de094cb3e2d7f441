import assert from 'node:assert/strict'
import { test } from 'node:test'

import { UsageError, readCommandLine } from './command-line.ts'

test('an argument wins over the environment', () => {
  const options = readCommandLine(['-f', 'a.conf', 'filter'], {
    SMTPD_CONF: 'b.conf',
    SLUICE_DATA: '/data',
    REDIS_URL: '',
  })
  assert.equal(options.smtpdConf, 'a.conf')
  assert.equal(options.dataFolder, '/data')
  assert.equal(options.redisUrl, undefined)
  assert.deepEqual(options.services, ['filter'])
})

test('macros come from -D and from SMTPD_D_ variables', () => {
  const { definitions } = readCommandLine(['-D', 'a=1=2'], { SMTPD_D_b: 'x', SMTPD_D_a: 'lost' })
  assert.deepEqual(definitions, { a: '1=2', b: 'x' })
})

test('an unknown option is named', () => {
  assert.throws(
    () => readCommandLine(['--nonsense'], {}),
    (error: Error) => error instanceof UsageError && error.message.includes('--nonsense'),
  )
  assert.throws(() => readCommandLine(['-D', 'novalue'], {}), UsageError)
})
