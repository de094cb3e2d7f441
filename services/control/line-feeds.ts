/** Lines that end in CR LF end in LF; a CR that stands elsewhere stays. */
export async function* lineFeeds(octets: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  let rest = Buffer.alloc(0)
  for await (const chunk of octets) {
    const all = rest.length === 0 ? chunk : Buffer.concat([rest, chunk])
    // A CR at the end may belong to the LF that begins the next piece.
    const end = all.at(-1) === carriageReturn ? all.length - 1 : all.length
    yield Buffer.from(all.toString('latin1', 0, end).replaceAll('\r\n', '\n'), 'latin1')
    rest = Buffer.from(all.subarray(end))
  }
  if (rest.length > 0) yield rest
}

const carriageReturn = 0x0d
