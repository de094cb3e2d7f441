import assert from 'node:assert/strict'
import { test } from 'node:test'

import { announcedId } from './record.ts'

test('a domain announces its policy by one valid record among other texts', () => {
  const announced: readonly (readonly string[])[] = [
    ['v=STSv1; id=20260101T000000;'],
    ['v=STSv1;id=20260101T000000'],
    ['v=STSv1 ; id=20260101T000000 ; x-more=1'],
    ['v=spf1 -all', 'v=STSv1; id=20260101T000000'],
  ]
  for (const texts of announced) assert.equal(announcedId(texts), '20260101T000000', texts.join())
})

test('several records, or one that is not valid, announce nothing', () => {
  const useless: readonly (readonly string[])[] = [
    [],
    ['v=spf1 -all'],
    ['v=STSv1; id=1', 'v=STSv1; id=2'],
    ['v=STSv1'],
    ['v=STSv1;'],
    ['v=STSv1; id='],
    ['v=STSv1; id=1-2'],
    [`v=STSv1; id=${'1'.repeat(33)}`],
    ['v=STSv1; id=1; ; x=1'],
    ['v=STSv1; id=1; x'],
    ['v=STSv2; id=1'],
    ['id=1; v=STSv1'],
  ]
  for (const texts of useless) assert.equal(announcedId(texts), undefined, texts.join())
})
