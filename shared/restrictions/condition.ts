import { settle } from '../config/settle.ts'
import type { RestrictionCondition } from '../config/model.ts'
import type { Means, Question } from './question.ts'

/** Whether a condition holds; what is not known yet at its stage matches nothing. @throws TableError */
export async function holds(condition: RestrictionCondition, question: Question, means: Means): Promise<boolean> {
  switch (condition.kind) {
    case 'authenticated':
      return question.user !== undefined
    case 'own-addresses':
      return question.client.own
    case 'table':
      return settle(means.tables, (tables) => {
        const { subject, table } = condition
        switch (subject) {
          case 'client':
            return tables.matchesAddress(table, question.client.address)
          case 'helo':
            return question.helo !== undefined && tables.matchesDomain(table, question.helo)
          case 'sender':
          case 'recipient': {
            const path = question[subject]
            return path !== undefined && tables.matchesMailbox(table, path.mailbox ?? '@')
          }
        }
      })
  }
}
