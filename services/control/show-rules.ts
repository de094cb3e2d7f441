import { formatSecond } from '../../shared/report/units.ts'
import { viewRuleHits } from '../../shared/rule-hits/view.ts'
import type { CountedStatement } from '../../shared/rule-hits/view.ts'
import { exitCodes } from './command.ts'
import type { Command, Invocation } from './command.ts'
import { findPlace } from './connect.ts'
import { visible } from './terminal.ts'
import type { Terminal } from './terminal.ts'
import { textTable } from './text-table.ts'

export const showRules: Command = {
  words: ['show', 'rules'],
  operands: [],
  options: [{ name: 'never', summary: 'those alone that were never hit' }],
  summary: 'rules and restrictions as they are in force, and how often each decided; needs no Redis',
  run: show,
}

async function show(invocation: Invocation): Promise<number> {
  const { terminal, options } = invocation
  const { dataFolder, configuration } = await findPlace(invocation)
  const all = await viewRuleHits(dataFolder, configuration, Date.now())
  const rules = options.has('never') ? all.filter(({ hits }) => hits !== undefined && hits.lastAt === undefined) : all
  if (options.has('json')) terminal.print(JSON.stringify({ rules }, undefined, 2))
  else for (const line of rulesText(rules, terminal)) terminal.print(line)
  return exitCodes.done
}

function rulesText(rules: readonly CountedStatement[], terminal: Terminal): readonly string[] {
  if (rules.length === 0) return ['None.']
  const columns = [
    { title: 'line' },
    { title: 'today', align: 'right' as const },
    { title: '7 days', align: 'right' as const },
    { title: 'last hit (UTC)' },
    { title: 'statement' },
  ]
  return textTable(
    columns,
    rules.map(({ at, text, hits }) => [
      at,
      hits === undefined ? '-' : String(hits.today),
      hits === undefined ? '-' : String(hits.week),
      lastHit(hits, terminal),
      visible(text),
    ]),
  )
}

function lastHit(hits: CountedStatement['hits'], terminal: Terminal): string {
  if (hits === undefined) return 'decides nothing by itself'
  if (hits.lastAt !== undefined) return formatSecond(hits.lastAt)
  if (hits.since === undefined) return 'not counted yet'
  return terminal.paint('yellow', `never since ${hits.since}`)
}
