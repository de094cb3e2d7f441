export type DmarcPolicy = 'none' | 'quarantine' | 'reject'

/** What a domain asks for (RFC 7489 §6.3), defaults filled in. */
export interface DmarcRecord {
  readonly policy: DmarcPolicy
  readonly subdomainPolicy: DmarcPolicy
  readonly strictDkim: boolean
  readonly strictSpf: boolean
  readonly percent: number
  /** `rua` as it stands there; absent: nobody wants aggregate reports. */
  readonly reportsTo?: string
}

/** The one record among the texts at `_dmarc.DOMAIN`; several are none (RFC 7489 §6.6.3). */
export function dmarcRecordAmong(texts: readonly string[]): DmarcRecord | undefined {
  const dmarc = texts.filter((text) => isDmarcRecord(text))
  return dmarc.length === 1 ? parseDmarc(dmarc[0] ?? '') : undefined
}

export function isDmarcRecord(text: string): boolean {
  return /^v=DMARC1[ \t]*(?:;|$)/.test(text)
}

/** Tags with errors count as absent (RFC 7489 §6.3); without a valid p= reports alone are asked for, or nothing. */
export function parseDmarc(text: string): DmarcRecord | undefined {
  const tags = dmarcTags(text)
  const word = (name: string): string | undefined => tags.get(name)?.toLowerCase()
  const policy = policyOf(word('p')) ?? (tags.has('rua') ? 'none' : undefined)
  if (policy === undefined) return undefined
  const percent = /^\d{1,3}$/.test(word('pct') ?? '') ? Math.min(Number(word('pct')), 100) : 100
  const reportsTo = tags.get('rua')
  return {
    policy,
    subdomainPolicy: policyOf(word('sp')) ?? policy,
    strictDkim: word('adkim') === 's',
    strictSpf: word('aspf') === 's',
    percent,
    ...(reportsTo === undefined || reportsTo === '' ? {} : { reportsTo }),
  }
}

/** By name in lower case, values as written; of two of a name the first counts. */
export function dmarcTags(text: string): ReadonlyMap<string, string> {
  const tags = new Map<string, string>()
  for (const part of text.split(';')) {
    const equals = part.indexOf('=')
    const name = part.slice(0, Math.max(equals, 0)).trim().toLowerCase()
    if (name !== '' && !tags.has(name)) tags.set(name, part.slice(equals + 1).trim())
  }
  return tags
}

function policyOf(word: string | undefined): DmarcPolicy | undefined {
  return word === 'none' || word === 'quarantine' || word === 'reject' ? word : undefined
}
