import { examine } from '../../shared/doctor/examination.ts'
import type { Finding } from '../../shared/doctor/finding.ts'
import { isDomain } from '../../shared/mail/address.ts'
import { asciiDomain } from '../../shared/mail/ascii-domain.ts'
import { UsageError, exitCodes } from './command.ts'
import type { Command, Invocation } from './command.ts'
import { loadPlace } from './connect.ts'
import { visible } from './terminal.ts'
import type { Colour } from './terminal.ts'

export const doctor: Command = {
  words: ['doctor'],
  operands: [{ name: 'DOMAIN', required: true }],
  options: [
    { name: 'outgoing', value: 'HOST', summary: 'a mail host of somebody else: whether connections to it get out' },
  ],
  summary:
    'how the world sees a domain: MX, names, SPF, DKIM, DMARC, MTA-STS, TLSA, ports, lists; exit code 1 when something is wrong',
  run,
}

async function run(invocation: Invocation): Promise<number> {
  const { terminal, options, operands } = invocation
  const domain = asciiDomain(operands[0] ?? '')
  if (domain === undefined || !isDomain(domain)) throw new UsageError(`'${operands[0] ?? ''}' is not a domain`)
  const { configuration } = await loadPlace(invocation)
  const outgoing = options.text('outgoing')
  const { findings } = await examine(configuration, domain, {
    signal: new AbortController().signal,
    ...(outgoing === undefined ? {} : { outgoing }),
  })
  if (options.has('json')) terminal.print(JSON.stringify(findings, undefined, 2))
  else for (const line of findings.flatMap((finding) => render(finding, terminal.paint))) terminal.print(line)
  return findings.some(({ verdict }) => verdict === 'wrong') ? exitCodes.failed : exitCodes.done
}

const marks: Readonly<Record<Finding['verdict'], readonly [word: string, colour: Colour]>> = {
  good: ['good', 'green'],
  wrong: ['WRONG', 'red'],
  absent: ['-', 'dim'],
  unknown: ['unknown', 'yellow'],
}

function render(
  { check, verdict, text, publish }: Finding,
  paint: (colour: Colour, text: string) => string,
): readonly string[] {
  const [word, colour] = marks[verdict]
  const first = `${paint(colour, word.padEnd(8))}${check.padEnd(10)}${visible(text)}`
  return publish === undefined ? [first] : [first, `${' '.repeat(18)}publish: ${publish}`]
}
