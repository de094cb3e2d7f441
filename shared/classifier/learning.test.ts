import assert from 'node:assert/strict'
import { appendFileSync, mkdtempSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import type { TestContext } from 'node:test'

import fc from 'fast-check'

import { classifierFiles, openClassifier, trainAgain } from './classifier.ts'
import { featuresOf } from './features.ts'
import { forget, learn, learnedOf, readLearned } from './learned-mail.ts'
import { judge } from './model.ts'
import type { Learned } from './learned-mail.ts'
import { exampleMail } from './testing.ts'

function temporary(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'learning-'))
  t.after(() => rmSync(folder, { recursive: true }))
  return folder
}

function examples(count: number, kind: 'ham' | 'spam', site = 'casino', from = 0): readonly Learned[] {
  return Array.from({ length: count }, (_one, number) =>
    learnedOf(featuresOf(exampleMail(from + number, kind, site)), kind === 'spam'),
  )
}

test('what was learned is read back as it was, whatever the features are', async (t) => {
  const folder = temporary(t)
  let number = 0
  await fc.assert(
    fc.asyncProperty(
      fc.uniqueArray(fc.nat({ max: 0xffffffff }), { maxLength: 50 }),
      fc.boolean(),
      async (all, isSpam) => {
        const path = join(folder, String(number++))
        const one = learnedOf(Uint32Array.from(all), isSpam)
        await learn(path, [one])
        assert.deepEqual(await readLearned(path), [one])
      },
    ),
    { numRuns: 30 },
  )
})

test('the last word about a message counts; saying it twice is no news; what is forgotten is gone', async (t) => {
  const path = join(temporary(t), 'learned')
  const [one, two] = examples(2, 'ham')
  assert.ok(one && two)
  assert.equal(await learn(path, [one, two, one]), 2)
  assert.equal(await learn(path, [one]), 0)
  assert.equal(await learn(path, [{ ...one, isSpam: true }]), 1)
  assert.deepEqual(
    (await readLearned(path)).map(({ id, isSpam }) => [id, isSpam]),
    [
      [two.id, false],
      [one.id, true],
    ],
  )
  assert.equal(await forget(path, [one.id, 'unknown']), 1)
  assert.deepEqual(await readLearned(path), [two])
})

test('several processes may learn at once, and a line that a crash cut off costs no other', async (t) => {
  const path = join(temporary(t), 'learned')
  const all = examples(12, 'spam')
  await Promise.all(all.map((one) => learn(path, [one])))
  assert.equal((await readLearned(path)).length, 12)
  truncateSync(path, statSync(path).size - 10)
  appendFileSync(path, '\n')
  await learn(path, examples(1, 'ham'))
  assert.equal((await readLearned(path)).length, 12)
  assert.match(readFileSync(path, 'latin1'), /^\{/)
})

test('with too little learned the starter judges; then this site does, whatever the starter thought, without a restart', async (t) => {
  const folder = temporary(t)
  const { learned } = classifierFiles(folder)
  let now = 0
  const classifier = openClassifier(folder, () => now)
  const invitation = featuresOf(exampleMail(900, 'spam', 'casino'))
  const news = featuresOf(exampleMail(900, 'ham', 'casino'))
  await learn(learned, [...examples(120, 'ham'), ...examples(30, 'spam')])
  assert.equal((await trainAgain(folder)).kind, 'too few')
  assert.match((await classifier.model()).version, /^starter-/)
  await learn(learned, examples(120, 'spam', 'casino', 30))
  const trained = await trainAgain(folder)
  assert.ok(trained.kind === 'trained')
  assert.match((await classifier.model()).version, /^starter-/, 'looked at a moment ago')
  now += 5_000
  assert.equal((await classifier.model()).version, trained.model.version)
  assert.ok(judge(await classifier.model(), invitation).points >= 5)
  assert.ok(judge(await classifier.model(), news).points < 1)
})

test('taking back enough brings the starter back; a damaged model leaves the last one in force and is told', async (t) => {
  const folder = temporary(t)
  const files = classifierFiles(folder)
  const [ham, spam] = [examples(110, 'ham'), examples(110, 'spam')]
  await learn(files.learned, [...ham, ...spam])
  await trainAgain(folder)
  let now = 0
  const classifier = openClassifier(folder, () => now)
  const { version } = await classifier.model()
  assert.match(version, /^site-/)
  writeFileSync(files.model, 'no model')
  now += 5_000
  assert.equal((await classifier.model()).version, version)
  assert.match(classifier.trouble ?? '', /site\.model: /)
  await forget(
    files.learned,
    spam.slice(0, 80).map(({ id }) => id),
  )
  assert.equal((await trainAgain(folder)).kind, 'too few')
  now += 5_000
  assert.match((await classifier.model()).version, /^starter-/)
  assert.equal(classifier.trouble, undefined)
})
