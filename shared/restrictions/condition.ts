import { settle } from '../config/settle.ts'
import type { RestrictionCondition } from '../config/model.ts'
import type { TableSet } from '../config/tables.ts'
import type { ClientCertificate, Means, Question } from './question.ts'

/** Whether a condition holds; what is not known yet at its stage matches nothing. @throws TableError */
export async function holds(condition: RestrictionCondition, question: Question, means: Means): Promise<boolean> {
  switch (condition.kind) {
    case 'authenticated':
      return question.user !== undefined
    case 'own-addresses':
      return question.client.own
    case 'certificate':
      return question.certificate?.verified === true
    case 'certificate-table':
      return settle(means.tables, (tables) => certificateHolds(condition, question.certificate, tables))
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

/** Whoever has the key of a certificate has its fingerprint; names need an authority that vouches for them. */
function certificateHolds(
  { part, table }: Extract<RestrictionCondition, { readonly kind: 'certificate-table' }>,
  certificate: ClientCertificate | undefined,
  tables: TableSet,
): boolean {
  if (certificate === undefined) return false
  const { fingerprint, verified, subject, hosts, mailboxes } = certificate
  switch (part) {
    case 'fingerprint':
      return tables.contains(table, fingerprint) || tables.contains(table, fingerprint.replaceAll(':', ''))
    case 'name':
      if (!verified) return false
      return (
        tables.contains(table, subject) ||
        hosts.some((host) => tables.matchesDomain(table, host)) ||
        mailboxes.some((mailbox) => tables.matchesMailbox(table, mailbox))
      )
  }
}
