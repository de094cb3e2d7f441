import { test } from 'node:test'

import fc from 'fast-check'

import { generatedInputs, judge, mutatedInputs } from './fuzz-fixture.ts'
import { realFiles } from './oracle-fixture.ts'

test('no generated configuration makes the parser crash, and what it says can be read', async () => {
  await fc.assert(
    fc.asyncProperty(generatedInputs, async (input) => void (await judge(input))),
    { numRuns: 1500 },
  )
})

test('no damaged configuration makes the parser crash, and what it says can be read', async () => {
  await fc.assert(
    fc.asyncProperty(mutatedInputs(realFiles()), async (input) => void (await judge(input))),
    {
      numRuns: 1500,
    },
  )
})
