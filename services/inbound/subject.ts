import { decodeWords } from '../../shared/classifier/readable-mail.ts'

const mostRead = 2_000
const mostKept = 256
const fieldPattern = /^subject[ \t]*:([^]*?)(?:\r\n(?![ \t])|(?![^]))/im

/** What the first Subject field of a header section says, as a reader sees it; undefined: there is none. */
export function subjectIn(section: Buffer): string | undefined {
  const [, raw] = fieldPattern.exec(section.toString('latin1')) ?? []
  if (raw === undefined) return undefined
  const subject = decodeWords(
    raw
      .slice(0, mostRead)
      .replaceAll(/\r\n[ \t]+/g, ' ')
      .trim(),
  )
  return subject.replaceAll(/[\u0000-\u001f\u007f]+/g, ' ').slice(0, mostKept) || undefined
}
