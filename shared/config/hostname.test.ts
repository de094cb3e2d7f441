import assert from 'node:assert/strict'
import { test } from 'node:test'

import { findHostname } from './hostname.ts'

function found(mailname: string, system: string, hosts = ''): string {
  return findHostname({ mailname: () => mailname, system: () => system, hosts: () => hosts }).hostname
}

test('mailname comes before the name of the system, which /etc/hosts completes', () => {
  assert.equal(found('Mail.example.org\n', 'laptop'), 'mail.example.org')
  assert.equal(found('', 'mx.example.org'), 'mx.example.org')
  assert.equal(found('', 'laptop', '127.0.1.1 laptop.home.arpa laptop # me'), 'laptop.home.arpa')
  assert.equal(found('', 'laptop'), 'laptop')
})

test('the id of a container is no host name', () => {
  const { hostname, why } = findHostname({ mailname: () => '', system: () => '23af3639c64a', hosts: () => '' })
  assert.deepEqual([hostname, why !== undefined], ['localhost', true])
})
