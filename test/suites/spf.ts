import type { DnsRecords, DnsTrouble, DnsZone } from '../support/dns.ts'
import type { Outcome } from './suite.ts'
import { resultOf, withEngine } from './suite.ts'
import { readYaml } from './yaml.ts'

/** A scenario of the SPF project's suite for RFC 7208. */
interface Scenario {
  readonly zonedata: Readonly<Record<string, readonly ZoneEntry[]>>
  readonly tests: Readonly<Record<string, Case>>
}

type ZoneEntry = 'TIMEOUT' | Readonly<Record<string, string | readonly string[] | readonly [number, string]>>

interface Case {
  readonly helo: string
  readonly host: string
  readonly mailfrom: string
  readonly result: string | readonly string[]
  readonly explanation?: string
}

/** Results, and of those that have one, the explanation, in the story of the message. */
export async function runSpf(file: string): Promise<readonly Outcome[]> {
  const outcomes: Outcome[] = []
  for (const { zonedata, tests } of (await readYaml(file)) as readonly Scenario[])
    await withEngine(zoneOf(zonedata), async (judge) => {
      for (const [name, { helo, host, mailfrom, result, explanation }] of Object.entries(tests)) {
        const { findings, symbols } = await judge({
          content: Buffer.from('From: jane@author.test\r\n\r\nHello\r\n'),
          origin: { kind: 'smtp', address: host, helo },
          reversePath: mailfrom === '' ? null : mailfrom,
        })
        const said = symbols.find((symbol) => symbol.name === 'SPF_FAIL')?.text ?? ''
        const asWanted =
          explanation === undefined ||
          explanation === 'DEFAULT' ||
          said.toLowerCase().endsWith(`: ${explanation.toLowerCase()}`)
        outcomes.push({
          name,
          wanted: typeof result === 'string' ? [result] : result,
          got: resultOf(findings.spf[0]),
          ...(asWanted ? {} : { note: `explained as '${said}', not '${explanation}'` }),
        })
      }
    })
  return outcomes
}

const recordTypes = ['A', 'AAAA', 'MX', 'TXT', 'PTR'] as const

function zoneOf(zonedata: Scenario['zonedata']): DnsZone {
  const zone: Record<string, DnsRecords | DnsTrouble> = {}
  for (const [name, entries] of Object.entries(zonedata)) {
    const key = name.toLowerCase().replace(/\.$/, '')
    const records = recordsOf(entries)
    zone[pointerName(key)] = records
    if (!entries.includes('TIMEOUT')) continue
    for (const type of recordTypes) if (records[type] === undefined) zone[`${key} ${type}`] = 'TIMEOUT'
  }
  return zone
}

/** Addresses stand for the names of their PTR records. */
function pointerName(name: string): string {
  return /^[\d.]+$/.test(name) ? `${name.split('.').reverse().join('.')}.in-addr.arpa` : name
}

function recordsOf(entries: readonly ZoneEntry[]): DnsRecords {
  const of = (type: string): readonly (string | readonly string[] | readonly [number, string])[] =>
    entries.flatMap((entry) => (typeof entry === 'string' || entry[type] === undefined ? [] : [entry[type]]))
  const texts = of('TXT')
  const txt = (texts.length === 0 ? of('SPF') : texts)
    .map((text) => (typeof text === 'string' ? text : text.join('')))
    .filter((text) => text !== 'NONE')
  const lists = {
    A: of('A').map(String),
    AAAA: of('AAAA').map(String),
    PTR: of('PTR').map(String),
    MX: of('MX').map(([preference, exchange]): [number, string] => [Number(preference), String(exchange)]),
    TXT: txt,
  }
  const [alias] = of('CNAME')
  return {
    ...Object.fromEntries(Object.entries(lists).filter(([, list]) => list.length > 0)),
    ...(typeof alias === 'string' ? { CNAME: alias } : {}),
  }
}
