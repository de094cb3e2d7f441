import type { Outcome } from './suite.ts'
import { resultOf, withCrlf, withEngine } from './suite.ts'
import { readYaml } from './yaml.ts'

/** A scenario of the ARC test suite, validation part. */
interface Scenario {
  readonly tests: Readonly<Record<string, { readonly message: string; readonly cv: string }>>
  readonly 'txt-records'?: Readonly<Record<string, string>>
}

export async function runArc(file: string): Promise<readonly Outcome[]> {
  const outcomes: Outcome[] = []
  for (const scenario of (await readYaml(file)) as readonly Scenario[]) {
    const texts = Object.entries(scenario['txt-records'] ?? {})
    const zone = Object.fromEntries(texts.map(([name, text]) => [name.toLowerCase(), { TXT: [text] }]))
    await withEngine(zone, async (judge) => {
      for (const [name, { message, cv }] of Object.entries(scenario.tests)) {
        const { findings } = await judge({
          content: withCrlf(message),
          origin: { kind: 'smtp', address: '192.0.2.7', helo: 'mail.sender.test' },
          reversePath: 'jane@sender.test',
        })
        const [finding] = findings.arc
        outcomes.push({
          name,
          wanted: cv === '' ? ['none', 'fail'] : [cv.toLowerCase()],
          got: resultOf(finding),
          note: finding ?? '',
        })
      }
    })
  }
  return outcomes
}
