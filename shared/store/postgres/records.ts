import type { CopyRow } from '../message-draft.ts'
import type { SavedMessage } from '../store-database.ts'
import type { Names } from './names.ts'

/** Rows go to the database as one value in JSON, however many they are. */
export const saveMessages = `
  INSERT INTO messages (message, id, host, kind, sender, size, client, "user", listener, header_id, tags, subject)
  SELECT message, id, host, kind, sender, size, client, "user", listener, header_id, tags, subject
  FROM json_to_recordset($1) AS r (message BIGINT, id TEXT, host INTEGER, kind SMALLINT, sender TEXT, size BIGINT,
    client TEXT, "user" TEXT, listener INTEGER, header_id TEXT, tags INTEGER, subject TEXT)
  ON CONFLICT (message) DO UPDATE SET host = excluded.host, kind = excluded.kind, sender = excluded.sender,
    size = excluded.size, client = excluded.client, "user" = excluded."user", listener = excluded.listener,
    header_id = excluded.header_id, tags = excluded.tags, subject = excluded.subject
  WHERE (messages.host, messages.kind, messages.sender, messages.size, messages.client, messages."user",
      messages.listener, messages.header_id, messages.tags, messages.subject)
    IS DISTINCT FROM (excluded.host, excluded.kind, excluded.sender, excluded.size, excluded.client, excluded."user",
      excluded.listener, excluded.header_id, excluded.tags, excluded.subject)`

export const saveCopies = `
  INSERT INTO copies (message, n, address, state, stage, rules, class, remote, next_at, at)
  SELECT message, n, address, state, stage, rules, class, remote, next_at, at
  FROM json_to_recordset($1) AS r (message BIGINT, n BIGINT, address TEXT, state SMALLINT, stage INTEGER,
    rules INTEGER, class INTEGER, remote TEXT, next_at BIGINT, at BIGINT)
  ON CONFLICT (message, n) DO UPDATE SET address = excluded.address, state = excluded.state, stage = excluded.stage,
    rules = excluded.rules, class = excluded.class, remote = excluded.remote, next_at = excluded.next_at,
    at = excluded.at`

/** What is there already was written before, and the answer lost. */
export const saveLines = `
  INSERT INTO lines (message, position, file, packed)
  SELECT message, position, file, decode(packed, 'base64')
  FROM json_to_recordset($1) AS r (message BIGINT, position BIGINT, file INTEGER, packed TEXT)
  ON CONFLICT DO NOTHING`

export interface LinesRecord {
  readonly message: number
  readonly position: number
  readonly file: number
  /** In base64. */
  readonly packed: string
}

export function messageRecord({ id, key, draft: { message } }: SavedMessage, host: number, names: Names): object {
  return {
    message: key,
    id,
    host,
    kind: message.kind,
    sender: indexed(message.sender),
    size: wholeNumber(message.sizeBytes),
    client: indexed(message.client),
    user: indexed(message.user),
    listener: names.number(message.listener),
    header_id: indexed(message.headerId),
    tags: names.number(message.tags),
    subject: indexed(message.subject),
  }
}

export function copyRecord(key: number, n: number, copy: CopyRow, names: Names): object {
  return {
    message: key,
    n,
    address: indexed(copy.address),
    state: copy.state,
    stage: names.number(copy.stage),
    rules: names.number(copy.rules),
    class: names.number(copy.class),
    remote: copy.remote === undefined ? null : cleanText(copy.remote),
    next_at: wholeNumber(copy.nextAt),
    at: wholeNumber(copy.at) ?? 0,
  }
}

/** As PostgreSQL can hold it: without NUL and without halves of characters. */
export function cleanText(text: string): string {
  return /[\0\ud800-\udfff]/.test(text) ? wellFormed(text.replaceAll('\0', '')) : text
}

/** Half a character becomes U+FFFD. */
function wellFormed(text: string): string {
  return Buffer.from(text).toString()
}

/** An entry of an index has 2,700 octets at most. */
const mostIndexed = 600

function indexed(text: string | undefined): string | null {
  return text === undefined ? null : wellFormed(cleanText(text).slice(0, mostIndexed))
}

/** A line may say anything. */
function wholeNumber(value: number | undefined): number | null {
  return value !== undefined && Number.isFinite(value) && Math.abs(value) < Number.MAX_SAFE_INTEGER
    ? Math.trunc(value)
    : null
}
