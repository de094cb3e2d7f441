import type { Span } from './diagnostic.ts'
import { usualSrsTtlDays } from './policy-draft.ts'
import type { PolicyDraft } from './policy-draft.ts'

/** Where settings got their values: by path in the model, `pipeline.spam.junk`. What nothing changed has no entry. */
export type SetBy = Map<string, Span>

/** Notes what a statement changed, as deep as objects and maps go. */
export function noteChanges(setBy: SetBy, path: string, before: unknown, after: unknown, span: Span): void {
  if (before === after) return
  if (Array.isArray(before) && Array.isArray(after)) {
    for (const [index, value] of after.entries()) noteChanges(setBy, `${path}.${index}`, before[index], value, span)
    if (after.length === 0) setBy.set(path, span)
    return
  }
  const [old, now] = [entriesOf(before), entriesOf(after)]
  if (old === undefined || now === undefined) return void setBy.set(path, span)
  for (const [key, value] of now) noteChanges(setBy, `${path}.${key}`, old.get(key), value, span)
}

/** The place of the path, or of what it is a part of. */
export function placeOf(setBy: ReadonlyMap<string, Span>, path: string): Span | undefined {
  for (let part = path; part !== ''; part = part.slice(0, Math.max(0, part.lastIndexOf('.')))) {
    const span = setBy.get(part)
    if (span !== undefined) return span
  }
  return undefined
}

/** Settings of smtpd.conf that are single values, by their names in the model. */
export function policySettings(draft: PolicyDraft): Readonly<Record<string, unknown>> {
  const { queueTtlMs, maxMessageBytes, maxRecipients, maxMailsPerSession, subAddressDelimiter } = draft
  const { bounceWarnMs, admd, cas, ciphers, limits, mtaDomains, socket, srsKey, srsBackupKey, srsTtlDays } = draft
  // The usual time comes into the model with the key.
  const isSrsTtl = srsKey !== undefined || srsTtlDays !== usualSrsTtlDays
  return {
    queueTtlMs,
    maxMessageBytes,
    maxRecipients,
    maxMailsPerSession,
    subAddressDelimiter,
    bounceWarnMs,
    authservId: admd,
    cas: new Map(cas),
    ciphers,
    limits: { ...limits, mtaDomains: new Map(mtaDomains) },
    socket,
    srs: { key: srsKey, backupKey: srsBackupKey, ttlDays: isSrsTtl ? srsTtlDays : undefined },
    atRest: { compression: draft.queueCompression, encryption: draft.queueEncryption, key: draft.queueKey },
  }
}

function entriesOf(value: unknown): ReadonlyMap<string, unknown> | undefined {
  if (value instanceof Map) return new Map([...value].map(([key, held]) => [String(key), held]))
  const isPlain = typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === Object.prototype
  return isPlain ? new Map(Object.entries(value)) : undefined
}
