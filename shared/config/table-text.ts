import { parsePostfixFile } from './postfix-file.ts'
import { parsePasswdFile, parseTableFile } from './table-file.ts'
import type { OnDuplicate, TableContent } from './table-file.ts'

/** How the text of a table is written; absent: as section 6 says. */
export type TableTextFormat = 'passwd' | 'postfix'

/** @throws TableFormatError */
export function parseTableText(
  text: string,
  format: TableTextFormat | undefined,
  onDuplicate?: OnDuplicate,
): TableContent {
  switch (format) {
    case 'passwd':
      return parsePasswdFile(text)
    case 'postfix':
      return parsePostfixFile(text, onDuplicate)
    case undefined:
      return parseTableFile(text, onDuplicate)
  }
}
