import type { MessageId } from '../../shared/mail/message-id.ts'
import type { Span, Tracing } from '../../shared/tracing/span.ts'
import type { SpanAttributes } from '../../shared/tracing/span.ts'

/**
 * What one session tells of the traces of its messages. The first message goes on with the trace of the session, so that it begins at the
 * greeting; each later one has a trace of its own, linked to the session's. No header of a client says anything about it.
 */
export class SessionTrace {
  readonly #tracing: Tracing
  readonly #session: Span | undefined
  #messages = 0

  constructor(tracing: Tracing, client: { readonly id: string; readonly listener: string; readonly address: string }) {
    this.#tracing = tracing
    this.#session = tracing.begin('SMTP session', {
      kind: 'server',
      attributes: {
        'network.protocol.name': 'smtp',
        'sluice.session.id': client.id,
        'sluice.listener': client.listener,
      },
    })
    this.#session?.setPersonal({ 'client.address': client.address })
  }

  /** A command that changes the session. */
  event(name: string, attributes: SpanAttributes = {}): void {
    this.#session?.event(name, attributes)
  }

  /** From MAIL to the end of the message; absent: it is not traced. */
  transaction(id: MessageId): Span | undefined {
    this.#messages += 1
    const attributes = { 'sluice.message.id': id }
    if (this.#messages === 1) return this.#session?.child('SMTP transaction', { attributes })
    return this.#tracing.begin('SMTP transaction', {
      kind: 'server',
      attributes,
      links: [this.#session?.traceParent],
    })
  }

  end(): void {
    this.#session?.end()
  }
}
