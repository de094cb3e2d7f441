/**
 * A foreign text as one line of ours: no line end, control character or change of direction is left in it to make it look like another
 * line, and no mail program makes a link of it.
 */
export function readableLine(text: string, mostLength = 200): string {
  const line = text
    .replaceAll(/[\u0000-\u001f\u007f-\u009f\u2028\u2029]+/g, ' ')
    .replaceAll(/[\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]/g, '')
    .replaceAll('://', ': //')
    .replaceAll(/\s+/g, ' ')
    .trim()
  const whole = line.replaceAll(/\p{Cs}/gu, '\ufffd')
  if (whole.length <= mostLength) return whole
  // Half a character at the end goes.
  return `${whole.slice(0, mostLength - 1).replace(/[\ud800-\udbff]$/, '')}…`
}
