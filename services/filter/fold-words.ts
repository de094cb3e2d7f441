const maxColumns = 78

/** `start` and the words, with folding so that no line is longer than 78 columns as far as the words allow. No CRLF at the end. */
export function foldWords(start: string, words: readonly string[]): string {
  let text = ''
  let line = start
  for (const word of words) {
    if (line.length + 1 + word.length <= maxColumns) line += ` ${word}`
    else {
      text += `${line}\r\n`
      line = `\t${word}`
    }
  }
  return text + line
}
