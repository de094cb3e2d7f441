import type { DmarcRow, PublishedPolicy } from './model.ts'

/** What the results of an address mean for the owner of the domain, and what to do about them. */
export function adviceOn(rows: readonly DmarcRow[], domain: string, policy: PublishedPolicy): string {
  const failing = rows.filter(({ dkim, spf }) => !dkim && !spf)
  if (failing.length === 0) return adviceOnPassed(rows)
  const signatures = failing.flatMap((row) => row.signatures)
  const broken = signatures.find((one) => one.result !== 'pass' && one.result !== 'none' && isOf(one.domain, domain))
  const foreignSigner = signatures.find((one) => one.result === 'pass' && !isOf(one.domain, domain))?.domain
  const foreignPath = failing
    .flatMap((row) => row.spfChecks)
    .find((one) => one.result === 'pass' && !isOf(one.domain, domain))?.domain
  if (failing.every(({ reasons }) => reasons.some((reason) => ownWay.has(reason))))
    return 'Forwarded, or sent through a mailing list, and the receiver says so: nothing to do.'
  if (broken !== undefined)
    return `Signed as ${broken.domain}${withSelector(broken.selector)}, but the signature does not verify: changed on the way (a mailing list or forwarder), or the key in DNS is not the one that signs.`
  if (foreignSigner !== undefined)
    return `Signed by ${foreignSigner}, not by ${domain}. If it is a service you use, let it sign with a DKIM key of ${domain}; if not, it is a forwarder or somebody who uses your name.`
  if (foreignPath !== undefined)
    return `SPF passes for ${foreignPath}, which is not ${domain}. If it is a service you use, let it sign with a DKIM key of ${domain}, or bounce to an address in ${domain}.`
  return `Neither signed by ${domain} nor allowed by its SPF record. If it is yours, sign there and add it to the SPF record; if not, somebody uses your name, and ${underPolicy(policy)}`
}

/** Reasons of receivers by which mail is right and only took another way (RFC 7489 appendix C). */
const ownWay: ReadonlySet<string> = new Set(['forwarded', 'mailing_list', 'trusted_forwarder', 'known_mailing_list'])

function adviceOnPassed(rows: readonly DmarcRow[]): string {
  if (rows.every(({ dkim, spf }) => dkim && spf)) return 'In order.'
  if (rows.every(({ dkim }) => dkim))
    return 'In order by DKIM. SPF fails for some: forwarded, or a server of yours that the SPF record lacks.'
  if (rows.every(({ spf }) => spf))
    return 'In order by SPF alone. Let it sign with DKIM too: forwarded copies fail otherwise.'
  return 'In order: each message by DKIM or by SPF.'
}

function underPolicy({ p }: PublishedPolicy): string {
  if (p === 'reject') return 'your policy has receivers reject it: nothing to do.'
  if (p === 'quarantine') return 'your policy has receivers treat it as spam.'
  return 'your policy (p=none) lets it through: with p=quarantine or p=reject receivers stop it.'
}

function withSelector(selector: string | undefined): string {
  return selector === undefined ? '' : ` (selector ${selector})`
}

/** Of the domain, above or below it: what aligns when it passes. */
function isOf(one: string, domain: string): boolean {
  return one === domain || one.endsWith(`.${domain}`) || domain.endsWith(`.${one}`)
}
