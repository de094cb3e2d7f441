import { isIP } from 'node:net'

import type { RestrictionRule } from '../config/model.ts'
import { findMailDomain } from './dns.ts'
import { isFullyQualified, isHostName, isSoundLiteral } from './host-name.ts'
import { about } from './replies.ts'
import type { Finding, Means, Question } from './question.ts'

type HeloRule = Extract<RestrictionRule, { readonly kind: 'helo' }>

/** What a client says it is called. Nothing said yet is nothing wrong. */
export async function checkHelo({ fault }: HeloRule, question: Question, { dns }: Means): Promise<Finding> {
  const { helo } = question
  if (helo === undefined) return 'next'
  switch (fault) {
    case 'invalid':
      if (isSoundLiteral(helo) ?? (isHostName(helo) || isIP(helo) !== 0)) return 'next'
      return about('helo', question, [501, '5.5.2'], 'Invalid name')
    case 'non-fqdn':
      if (isFullyQualified(helo)) return 'next'
      return about('helo', question, [504, '5.5.2'], 'need fully-qualified hostname')
    case 'unknown': {
      if (isSoundLiteral(helo) === true) return 'next'
      const found = isHostName(helo) ? await findMailDomain(dns, helo.toLowerCase().replace(/\.$/, '')) : 'absent'
      // A name that takes no mail (RFC 7505) is a name all the same.
      if (found === 'exists' || found === 'null-mx') return 'next'
      return about('helo', question, [450, '4.7.1'], 'Host not found')
    }
  }
}
