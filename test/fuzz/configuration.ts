import fc from 'fast-check'

import { generatedInputs, judge, mutatedInputs, type FuzzInput } from '../../shared/config/fuzz-fixture.ts'
import { realFiles } from '../../shared/config/oracle-fixture.ts'

/**
 * Feeds the readers of smtpd.conf and pipeline.conf with generated and damaged files until one makes them crash, say what cannot
 * be read, or think for long. By hand: `node --import tsx test/fuzz/configuration.ts [inputs [seed]]`
 */
const [inputs = 100_000, seed = Date.now() % 2 ** 31] = process.argv.slice(2).map(Number)
/** One input takes about a millisecond. */
const hangMs = 2_000
await main(inputs, seed)

interface Tally {
  inputs: number
  accepted: number
  slowestMs: number
}

async function main(total: number, firstSeed: number): Promise<void> {
  const startedAt = performance.now()
  const tally: Tally = { inputs: 0, accepted: 0, slowestMs: 0 }
  const kinds = [generatedInputs, mutatedInputs(realFiles())]
  for (let round = 0; tally.inputs < total; round += 1) {
    for (const kind of kinds) await runBatch(kind, { seed: firstSeed + round, tally, total })
  }
  const seconds = Math.round((performance.now() - startedAt) / 1000)
  console.log(
    `${tally.inputs} inputs in ${seconds} s, seed ${firstSeed}: no crash; ${tally.accepted} were accepted; ` +
      `the slowest took ${Math.round(tally.slowestMs)} ms`,
  )
}

async function runBatch(
  kind: fc.Arbitrary<FuzzInput>,
  { seed, tally, total }: { readonly seed: number; readonly tally: Tally; readonly total: number },
): Promise<void> {
  const property = fc.asyncProperty(kind, async (input) => {
    const startedAt = performance.now()
    const configuration = await judge(input)
    const tookMs = performance.now() - startedAt
    tally.inputs += 1
    if (configuration !== undefined) tally.accepted += 1
    tally.slowestMs = Math.max(tally.slowestMs, tookMs)
    if (tookMs > hangMs) throw new Error(`took ${Math.round(tookMs)} ms`)
  })
  await fc.assert(property, { seed, numRuns: Math.min(10_000, Math.ceil(total / 2)) })
}
