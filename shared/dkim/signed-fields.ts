import type { RawField } from './raw-field.ts'

/**
 * Signed once more than they occur, so that nobody can add one unseen (RFC 6376 §8.15): what a reader is shown, and
 * what decides how the body is read.
 */
const overSigned = [
  'From',
  'Reply-To',
  'Subject',
  'Date',
  'To',
  'Cc',
  'MIME-Version',
  'Content-Type',
  'Content-Transfer-Encoding',
  'Content-Disposition',
  'In-Reply-To',
  'References',
]

/** Signed as often as they occur. */
const signed = [
  'Message-ID',
  'Sender',
  'Resent-Date',
  'Resent-From',
  'Resent-Sender',
  'Resent-To',
  'Resent-Cc',
  'Resent-Message-ID',
  'List-Id',
  'List-Help',
  'List-Unsubscribe',
  'List-Unsubscribe-Post',
  'List-Subscribe',
  'List-Post',
  'List-Owner',
  'List-Archive',
  'Auto-Submitted',
  'Autocrypt',
]

/** A message with more fields of one name than this is broken anyway; h= stays short. */
const maxMentions = 8

/** The names for h=, each as often as it is signed. */
export function namesToSign(fields: ReadonlyMap<string, readonly RawField[]>): readonly string[] {
  const count = (name: string): number => fields.get(name.toLowerCase())?.length ?? 0
  return [
    ...overSigned.flatMap((name) => repeat(name, count(name) + 1)),
    ...signed.flatMap((name) => repeat(name, count(name))),
  ]
}

function repeat(name: string, times: number): string[] {
  return Array<string>(Math.min(times, maxMentions)).fill(name)
}
