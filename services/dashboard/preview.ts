import { beginningOf } from '../../shared/beginning-of.ts'
import { readMail } from '../../shared/classifier/readable-mail.ts'
import type { SpooledMessage } from '../../shared/spool/spool.ts'

/** What a reader of a message would see first, as text: nothing of it is markup, nothing is loaded from anywhere. */
export interface Preview {
  readonly from: string | undefined
  readonly fields: readonly PreviewField[]
  /** The texts of its parts, HTML as the words in it. */
  readonly texts: readonly string[]
  /** Types and endings of the parts that are no text: `application/pdf (pdf)`. */
  readonly files: readonly string[]
  readonly parts: readonly PreviewPart[]
  /** The rest of it was not looked at. */
  readonly cut: boolean
}

/** Not a multipart. */
export interface PreviewPart {
  readonly type: string
  /** In lower case; empty when there is none. */
  readonly extension: string
}

export interface PreviewField {
  readonly name: string
  readonly value: string
}

const shownFields = ['From', 'Reply-To', 'To', 'Cc', 'Subject', 'Date', 'Message-ID', 'List-Id', 'X-Mailer']
const mostBytes = 256 * 1024
const mostTextLength = 20_000

/** Reads the beginning of the content as it was received. */
export async function previewOf(stored: Pick<SpooledMessage, 'envelope' | 'locator' | 'stream'>): Promise<Preview> {
  const content = await beginningOf(stored.stream(), mostBytes)
  const { fields, texts, parts } = readMail(content)
  const known = shownFields.flatMap((name) =>
    fields.filter((field) => field.name === name.toLowerCase()).map(({ value }) => ({ name, value })),
  )
  return {
    from: stored.envelope.reversePath ?? undefined,
    fields: known,
    texts: texts
      .map(({ text }) => text.trim().slice(0, mostTextLength).replaceAll('\r\n', '\n'))
      .filter((text) => text !== ''),
    files: parts
      .filter(({ type }) => !type.startsWith('text/'))
      .map(({ type, extension }) => (extension === '' ? type : `${type} (${extension})`)),
    parts,
    cut: stored.locator.sizeBytes > content.length || texts.some(({ text }) => text.trim().length > mostTextLength),
  }
}
