import type { FoundFile } from './found-file.ts'

/** What a mail program of today would start, by a double click or by itself. */
export const defaultBanned: readonly string[] = [
  ...'ade adp bat chm cmd com cpl exe hta ins isp jar js jse lnk mde msc msi msp mst pif ps1 reg scr sct shb vb vbe vbs wsc wsf wsh'
    .split(' ')
    .map((extension) => `*.${extension}`),
  'application/x-dosexec',
  'application/x-executable',
  'application/x-mach-binary',
  'application/x-ms-shortcut',
  'application/x-msdownload',
  'application/x-msdos-program',
]

/** Says which of the files it is, if it is one. */
export type BannedFiles = (file: FoundFile) => boolean

/** Entries: names with `*` and `?` (`*.exe`), and types (`application/x-msdownload`); upper and lower case are the same. */
export function compileBanned(entries: readonly string[]): BannedFiles {
  const folded = entries.map((entry) => entry.toLowerCase())
  const types = new Set(folded.filter((entry) => entry.includes('/')))
  const endings = new Set<string>()
  const patterns: RegExp[] = []
  for (const entry of folded.filter((one) => !one.includes('/'))) {
    const ending = /^\*(\.[^*?.]+)$/.exec(entry)?.[1]
    if (ending === undefined) patterns.push(patternOf(entry))
    else endings.add(ending)
  }
  return ({ kind, text }) => {
    if (kind === 'type') return types.has(text.toLowerCase())
    if (kind !== 'name') return false
    const name = plainName(text)
    return endings.has(name.slice(name.lastIndexOf('.'))) || patterns.some((pattern) => pattern.test(name))
  }
}

/** The end of a name says what it is; patterns with many stars would take long for more. */
const mostNameLength = 255

/** Windows drops blanks and dots at the end, and nobody sees control characters and marks that turn the direction. */
function plainName(text: string): string {
  const name = text
    .slice(-mostNameLength)
    .toLowerCase()
    .replaceAll(/[\x00-\x1f\x7f\u200b-\u200f\u202a-\u202e\u2066-\u2069\ufeff]/g, '')
  return name.slice(Math.max(name.lastIndexOf('/'), name.lastIndexOf('\\')) + 1).replace(/[. ]+$/, '')
}

function patternOf(entry: string): RegExp {
  const source = entry
    .replaceAll(/\*+/g, '*')
    .split('')
    .map((character) =>
      character === '*' ? '.*' : character === '?' ? '.' : character.replace(/[\\^$.+()[\]{}|]/, '\\$&'),
    )
    .join('')
  return new RegExp(`^${source}$`, 'su')
}
