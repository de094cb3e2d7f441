/**
 * The id of the policy that a domain announces by the texts at `_mta-sts.DOMAIN` (RFC 8461 §3.1); undefined when it announces none:
 * there is no such record, or several, or it is not valid.
 */
export function announcedId(texts: readonly string[]): string | undefined {
  const records = texts.filter((text) => /^v=STSv1[ \t]*;/.test(text))
  const [record] = records
  if (record === undefined || records.length > 1) return undefined
  const fields = record.split(';').map((field) => field.trim())
  if (fields.at(-1) === '') fields.pop()
  if (!fields.slice(1).every((field) => fieldShape.test(field))) return undefined
  const id = fields.find((field) => field.startsWith('id='))?.slice(3)
  return id !== undefined && /^[A-Za-z0-9]{1,32}$/.test(id) ? id : undefined
}

const fieldShape = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,31}=[\x21-\x3a\x3c\x3e-\x7e]+$/
