import assert from 'node:assert/strict'
import { test } from 'node:test'

import { expandFormat, expandPath, faultOfFormat, FormatError } from './format.ts'

const values = {
  sender: '',
  rcpt: 'Joe+Tag@Example.org',
  dest: 'joe@example.org',
  username: 'joe',
  directory: '/home/joe',
}

test('specifiers, ranges and modifiers', () => {
  assert.equal(expandFormat('~/%{dest.domain}/%{rcpt.user:lowercase|strip}', values), '/home/joe/example.org/joe')
  assert.equal(expandFormat('%{rcpt.user[0:2]:uppercase}%%', values), 'JOE%')
  assert.equal(expandFormat('[%{sender}][%{mbox.from}]', values), '[][MAILER-DAEMON]')
  assert.throws(() => expandFormat('%{user.name}', values), FormatError)
})

test('an address cannot lead a path out of its folder', () => {
  const hostile = { ...values, dest: '../../etc@example.org' }
  assert.equal(expandPath('/mail/%{dest.user}', hostile), '/mail/..:..:etc')
  assert.throws(() => expandPath('/mail/%{dest.user}', { ...values, dest: '..@example.org' }), FormatError)
  assert.equal(expandPath('%{user.directory}/Maildir', values), '/home/joe/Maildir')
})

test('characters of the shell lose their meaning unless raw is asked for', () => {
  const hostile = { ...values, dest: '$(x)`y`@example.org' }
  assert.equal(expandFormat('%{dest.user}', hostile), ':(x):y:')
  assert.equal(expandFormat('%{dest.user:raw}', hostile), '$(x)`y`')
})

test('a wrong format is found when the configuration is read', () => {
  assert.equal(faultOfFormat('/mail/%{user.username}'), undefined)
  assert.equal(faultOfFormat('/mail/%{user.username'), 'a "%{" has no "}"')
  assert.equal(faultOfFormat('/mail/%{user}'), 'there is no format specifier "%{user}"')
  assert.equal(faultOfFormat('/mail/%{dest:upper}'), 'there is no modifier "upper"')
})
