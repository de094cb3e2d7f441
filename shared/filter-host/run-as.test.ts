import assert from 'node:assert/strict'
import { test } from 'node:test'

import { cannotRunAs, startOf } from './run-as.ts'

const isRoot = process.getuid?.() === 0
const accounts = () => ({ passwd: 'root:x:0:0::/:/bin/sh\n_dkim:x:105:110::/:/bin/false\n', group: 'mail:x:8:\n' })

test('a filter gives up what smtpd.conf says, group and root folder too', { skip: !isRoot && 'needs root' }, () => {
  const shell = { command: '/bin/sh', args: ['-c', 'exec /x y'] }
  assert.deepEqual(startOf('/x y', {}, accounts), shell)
  assert.deepEqual(startOf('/x y', { user: '_dkim' }, accounts), { ...shell, uid: 105, gid: 110 })
  assert.deepEqual(startOf('/x y', { user: '_dkim', group: 'mail' }, accounts), { ...shell, uid: 105, gid: 8 })
  assert.deepEqual(startOf('/x y', { group: 'mail' }, accounts), { ...shell, gid: 8 })
  assert.deepEqual(startOf('/x y', { user: '_dkim', chroot: '/jail' }, accounts), {
    command: 'chroot',
    args: ['--userspec=+105:+110', '--groups=', '/jail', '/bin/sh', '-c', 'exec /x y'],
  })
  assert.deepEqual(startOf('/x y', { chroot: '/jail' }, accounts).args.slice(0, 2), ['/jail', '/bin/sh'])
  assert.throws(() => startOf('/x', { user: 'nobody-here' }, accounts), /no user "nobody-here"/)
  assert.throws(() => startOf('/x', { group: 'none-here' }, accounts), /no group "none-here"/)
})

test('who is not root is told what is not done', () => {
  assert.equal(cannotRunAs({}), undefined)
  const note = cannotRunAs({ user: '_dkim', chroot: '/jail' })
  assert.match(note ?? '', isRoot ? /^$/ : /^user _dkim, chroot \/jail: only root/)
})
