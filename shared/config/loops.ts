import type { Diagnostic } from './diagnostic.ts'
import type { Condition, Configuration, Position, QueueSettings, Rule } from './model.ts'
import { queueOfRelay } from './return-tags.ts'

/** A rule that sends mail into a queue it came from, when no rule before it takes the mail. */
export interface Loop {
  readonly at: Position
  readonly fault: Pick<Diagnostic, 'code' | 'message'> & { readonly hint: string }
}

/**
 * Follows, for each queue, the rules that match all mail with its tag. What depends on the message is not decided here: the
 * router refuses a loop at RCPT.
 */
export function findLoops(configuration: Configuration): readonly Loop[] {
  const loops = new Map<string, Loop>()
  const nextRule = new Map<string, Rule | undefined>()
  for (const start of configuration.rules) {
    const visited: QueueSettings[] = []
    let rule: Rule | undefined = start
    let queue = queueOf(rule, configuration)
    while (rule !== undefined && queue !== undefined) {
      if (visited.includes(queue)) {
        loops.set(`${rule.at.file}:${rule.at.line}`, loopAt(rule, queue))
        break
      }
      visited.push(queue)
      const tags = visited.map((one) => one.tag)
      const key = tags.join(' ')
      if (!nextRule.has(key)) {
        nextRule.set(
          key,
          configuration.rules.find((one) => one.conditions.every((condition) => alwaysHolds(condition, tags))),
        )
      }
      rule = nextRule.get(key)
      queue = rule === undefined ? undefined : queueOf(rule, configuration)
    }
  }
  return [...loops.values()]
}

function loopAt(rule: Rule, queue: QueueSettings): Loop {
  const message = `mail that comes back from the queue "${queue.name}" is sent into it again: it will be refused as a loop`
  const hint = `put a rule \`match tag ${queue.tag} ...\` before this one that delivers or relays it`
  return { at: rule.at, fault: { code: 'loop', message, hint } }
}

function queueOf(rule: Rule, { actions, pipeline }: Configuration): QueueSettings | undefined {
  const action = rule.decision.kind === 'action' ? actions.get(rule.decision.name) : undefined
  if (action?.kind !== 'relay' || action.host?.source.kind !== 'inline') return undefined
  const [host] = action.host.source.list ?? []
  const queue = host === undefined ? undefined : queueOfRelay(pipeline.queues, host)
  return queue === undefined || queue.tag === '' ? undefined : queue
}

/** For every message that a queue hands back with these tags. */
function alwaysHolds(condition: Condition, tags: readonly string[]): boolean {
  switch (condition.kind) {
    case 'from-any':
    case 'from-local':
    case 'from-socket':
    case 'for-any':
      return !condition.not
    case 'tag':
      return !condition.regex && holdsTag(condition, tags)
    case 'for-local':
    case 'tls':
    case 'from-src':
    case 'from-rdns':
    case 'for-domain':
    case 'helo':
    case 'auth':
    case 'mail-from':
    case 'rcpt-to':
      return false
  }
}

function holdsTag(condition: Extract<Condition, { readonly regex: boolean }>, tags: readonly string[]): boolean {
  if (condition.table?.source.kind !== 'inline') return false
  const folded = (word: string): string => (condition.caseSensitive === true ? word : word.toLowerCase())
  const carried = new Set(tags.map((word) => folded(word)))
  return (condition.table.source.list ?? []).some((word) => carried.has(folded(word))) !== condition.not
}
