/** A record that tells which certificates a server may have (RFC 6698 §2). */
export interface TlsaRecord {
  /** 2: of an authority (DANE-TA); 3: of the server itself (DANE-EE). Others are not for mail (RFC 7672 §3.1.3). */
  readonly usage: number
  /** 0: the whole certificate; 1: its public key. */
  readonly selector: number
  /** 0: as it is; 1: SHA-256; 2: SHA-512. */
  readonly matching: number
  readonly data: Buffer
}

/** Undefined for data that is no TLSA record. */
export function parseTlsa(data: Buffer): TlsaRecord | undefined {
  const [usage, selector, matching] = data
  if (usage === undefined || selector === undefined || matching === undefined || data.length < 4) return undefined
  return { usage, selector, matching, data: data.subarray(3) }
}

const digestBytes: ReadonlyMap<number, number> = new Map([
  [1, 32],
  [2, 64],
])

/** Whether a mail server can be checked by it. */
export function isUsable({ usage, selector, matching, data }: TlsaRecord): boolean {
  if (![2, 3].includes(usage) || ![0, 1].includes(selector) || ![0, 1, 2].includes(matching)) return false
  return matching === 0 || data.length === digestBytes.get(matching)
}
