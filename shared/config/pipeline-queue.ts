import type { Listener, QueueSettings } from './model.ts'
import { finish, choiceOf, tagOf, positive } from './pipeline-draft.ts'
import type { ParseStatement, PipelineDraft } from './pipeline-draft.ts'

const minuteMs = 60_000

/** The queues messages pass. */
export const queueStatements: Readonly<Record<string, ParseStatement>> = {
  queue: parseQueue,
}

export const builtinQueues: readonly QueueSettings[] = [
  queueOf('filter', { tag: 'Filtered', answers: 'smtp://localhost:10024', concurrency: 4, timeoutMs: minuteMs }),
  queueOf('sign', { tag: 'Signed', answers: 'smtp://localhost:10026', concurrency: 4, timeoutMs: minuteMs }),
  queueOf('deliver', { concurrency: 20, timeoutMs: 5 * minuteMs }),
  queueOf('relay', { concurrency: 50, timeoutMs: 15 * minuteMs }),
]

/** What the specification calls a queue, beside its own name. */
const otherNames: ReadonlyMap<string, string> = new Map([['outbound', 'relay']])

/** `queue NAME [answers URL] [tag TAG | tag from LISTENER] [concurrency N] [timeout D] [attempts N] [target D] [on-failure defer|proceed]`. */
function parseQueue(draft: PipelineDraft): void {
  const { reader } = draft
  reader.next()
  const name = reader.string('the name of the queue')
  if (!/^[A-Za-z][A-Za-z0-9_-]*$/.test(name.text)) {
    reader.fail('value', 'a queue is named by letters, digits, "_" and "-"', name.span)
  }
  const queueName = otherNames.get(name.text) ?? name.text
  let queue = draft.settings.queues.get(queueName) ?? queueOf(queueName, {})
  while (!reader.atEnd()) {
    draft.stated.add(`queue ${queueName} ${reader.peek().text}`)
    queue = { ...queue, ...queueOption(draft) }
  }
  if (queue.tag === '' && !builtinQueues.some((one) => one.name === queue.name)) {
    const hint = `queue "${name.text}" tag SomeTag: rules test it with \`match tag SomeTag\``
    reader.fail('incomplete', `the queue "${name.text}" needs the tag its mail comes back with`, name.span, hint)
  }
  finish(draft, { queues: new Map([...draft.settings.queues, [queue.name, queue]]) })
}

function queueOption(draft: PipelineDraft): Partial<QueueSettings> {
  const { reader } = draft
  if (reader.accept('answers')) return { answers: reader.string('a relay URL').text }
  if (reader.accept('tag')) return { tag: reader.accept('from') ? listenerTag(draft) : tagOf(reader) }
  if (reader.accept('concurrency')) return { concurrency: positive(reader) }
  if (reader.accept('timeout')) return { timeoutMs: reader.duration('timeout') }
  if (reader.accept('on-failure')) return { onFailure: choiceOf(reader, ['defer', 'proceed'] as const, 'what to do') }
  if (reader.accept('attempts')) return { attempts: positive(reader) }
  if (reader.accept('target')) return { targetMs: reader.duration('target') }
  return reader.unexpected('an option of the queue', [
    'answers',
    'tag',
    'concurrency',
    'timeout',
    'attempts',
    'target',
    'on-failure',
  ])
}

/** `"lo:10025"`: the tag of that listener of smtpd.conf. */
function listenerTag(draft: PipelineDraft): string {
  const { reader } = draft
  const place = reader.string('a listener, interface:port')
  const [, on, port] = /^(.*):(\d+)$/.exec(place.text) ?? []
  const found = draft.policy.listeners.find(
    (listener: Listener) => listener.on === on && listener.port === Number(port),
  )
  if (found?.tag !== undefined) return found.tag
  return reader.fail(
    'unknown-name',
    `smtpd.conf has no listener ${place.text} with a tag`,
    place.span,
    'write `tag NAME`',
  )
}

function queueOf(name: string, settings: Partial<QueueSettings>): QueueSettings {
  return { name, tag: '', concurrency: 4, timeoutMs: minuteMs, onFailure: 'defer', targetMs: minuteMs, ...settings }
}
