/** What a configuration asks about a message and the record does not say. The message is why: few different texts. */
export class NotRecorded extends Error {
  override readonly name = 'NotRecorded'
}
