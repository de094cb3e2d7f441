/** Mail at rest has the line ends of the host, as every Maildir program expects: CRLF becomes LF, other octets stay. */
export function withLineFeeds(text: Buffer): Buffer {
  const out = Buffer.allocUnsafe(text.length)
  let length = 0
  let start = 0
  for (let end = text.indexOf('\r\n'); end >= 0; end = text.indexOf('\r\n', start)) {
    length += text.copy(out, length, start, end)
    start = end + 1
  }
  length += text.copy(out, length, start)
  return out.subarray(0, length)
}
