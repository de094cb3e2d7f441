import { basename } from 'node:path'

import type { Configuration, Position, RestrictionRule } from '../config/model.ts'
import { readRuleHits } from './rule-hits.ts'
import type { StatementHits } from './rule-hits.ts'

/** A rule of smtpd.conf or a `restrict` of pipeline.conf, in force. */
export interface CountedStatement {
  readonly kind: 'rule' | 'restrict'
  /** `smtpd.conf:7` */
  readonly at: string
  readonly text: string
  /** Absent: it decides nothing by itself. */
  readonly hits?: StatementHits
}

/** All of them in the order they are asked, with how often they decided. */
export async function viewRuleHits(
  dataFolder: string,
  { rules, pipeline }: Pick<Configuration, 'rules' | 'pipeline'>,
  nowAt: number,
): Promise<readonly CountedStatement[]> {
  const statements = [
    ...rules.map(({ at, text }) => ({ kind: 'rule' as const, at: placeOf(at), text, decides: true })),
    ...pipeline.restrictions.map(({ at, text, rule }) => ({
      kind: 'restrict' as const,
      at: placeOf(at),
      text,
      decides: decides(rule),
    })),
  ]
  const texts = statements.map(({ text }) => text)
  const found = await readRuleHits(dataFolder, texts, nowAt)
  return statements.map(({ decides: counts, ...statement }, index) => {
    const hits = found[index]
    return { ...statement, ...(counts && hits !== undefined ? { hits } : {}) }
  })
}

/** A list with a score is weighed by another line; who sleeps goes on. */
function decides(rule: RestrictionRule): boolean {
  return rule.kind !== 'sleep' && !(rule.kind === 'dnsbl' && rule.score !== undefined)
}

function placeOf({ file, line }: Position): string {
  return `${basename(file)}:${line}`
}
