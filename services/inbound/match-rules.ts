import { setImmediate as nextTurn } from 'node:timers/promises'

import { compileExpression } from '../../shared/config/ere.ts'
import type { GroupingExpression } from '../../shared/config/ere.ts'
import { groupTemplate } from '../../shared/config/group-template.ts'
import { isChosen } from '../../shared/config/listener-choice.ts'
import type { BodyAction, BodyRule, HeaderAction, HeaderRule, Listener } from '../../shared/config/model.ts'
import type { Mailbox } from '../../shared/mail/address.ts'
import type { Reply } from '../../shared/mail/reply.ts'
import type { AcceptedFate } from '../../shared/pipeline/pipeline.ts'

/** What rules make of a message but for its text. */
export interface Findings {
  /** Of `warn`, and by which statement; the first 100. */
  readonly warnings: readonly { readonly filter: string; readonly text: string }[]
  /** Of `hold` and `discard`, the last one. */
  readonly fate?: AcceptedFate
  /** Of `redirect`, the last one. */
  readonly redirect?: Mailbox
}

/** Characters of a field, unfolded, or of a line that are looked at: time is linear in them. */
export const longestSubject = 4_096
/** Of one message: a stranger says how many there are. */
const mostWarnings = 100
/** Characters looked at before other sessions have their turn. */
const charactersPerTurn = 8_192

export interface CompiledRule<Action> {
  readonly expression: GroupingExpression
  /** Of the match: the action with what the groups matched. */
  readonly action: (subject: string) => Action
}

/** The header rules for a listener. */
export function compileHeaderRules(
  rules: readonly HeaderRule[],
  listener: Listener,
): readonly CompiledRule<HeaderAction>[] {
  return rules.filter((rule) => isChosen(rule.for, listener)).map(compileRule)
}

/** The body rules for a listener. */
export function compileBodyRules(rules: readonly BodyRule[], listener: Listener): readonly CompiledRule<BodyAction>[] {
  return rules.filter((rule) => isChosen(rule.for, listener)).map(compileRule)
}

type AnyAction = HeaderAction | BodyAction

function compileRule<Action extends AnyAction>({
  expression: pattern,
  action,
}: {
  readonly expression: string
  readonly action: Action
}): CompiledRule<Action> {
  const expression = compileExpression(pattern)
  const written = writtenIn(action)
  if (!written.includes('$')) return { expression, action: () => action }
  const template = groupTemplate(written, expression.groups)
  return { expression, action: (subject) => withText(action, template(expression.find(subject) ?? [])) }
}

function writtenIn(action: AnyAction): string {
  if ('field' in action) return action.field
  if ('line' in action) return action.line
  return 'text' in action ? action.text : ''
}

function withText<Action extends AnyAction>(action: Action, filled: string): Action {
  if ('field' in action) return { ...action, field: asField(filled) }
  if ('line' in action) return { ...action, line: filled.replaceAll(/[\r\n\0]/g, ' ') }
  return { ...action, text: asText(filled) }
}

/** On lines that are not too long (RFC 5322 §2.1.1), and on no others. */
function asField(text: string): string {
  return text.replaceAll(/[\r\n\0]/g, ' ').replaceAll(/([^\r\n]{700,900}?)(?=[ \t][^ \t])/g, '$1\r\n')
}

/** As a reply may hold it (RFC 5321 §4.2). */
function asText(text: string): string {
  return text.replaceAll(/[^\x20-\x7e]/g, '?').slice(0, 400)
}

/** Compares subjects with rules, the first that matches counts, and collects what follows for the message. */
export class RuleSearch {
  /** The reply of `reject`: nothing more is looked for. */
  refusal: Reply | undefined
  readonly #warnings: { readonly filter: string; readonly text: string }[] = []
  #fate: AcceptedFate | undefined
  #redirect: Mailbox | undefined
  #characters = 0

  /** Nothing more is looked for. */
  get isOver(): boolean {
    return this.refusal !== undefined || this.#fate?.kind === 'discard'
  }

  get findings(): Findings {
    return {
      warnings: this.#warnings,
      ...(this.#fate === undefined ? {} : { fate: this.#fate }),
      ...(this.#redirect === undefined ? {} : { redirect: this.#redirect }),
    }
  }

  /** The action of the first rule that matches. @param filter the statement, for the log */
  async find<Action extends AnyAction>(
    rules: readonly CompiledRule<Action>[],
    subject: string,
    filter: string,
  ): Promise<Action | undefined> {
    for (const { expression, action: actionFor } of rules) {
      this.#characters += subject.length
      if (this.#characters > charactersPerTurn) {
        this.#characters = 0
        await nextTurn()
      }
      if (!expression.test(subject)) continue
      const action = actionFor(subject)
      this.#note(action, subject, filter)
      return action
    }
    return undefined
  }

  #note(action: AnyAction, subject: string, filter: string): void {
    if (action.kind === 'reject') this.refusal = replyOf(action.text)
    if (action.kind === 'warn' && this.#warnings.length < mostWarnings)
      this.#warnings.push({ filter, text: `${action.text}: ${subject.slice(0, 200)}` })
    if (action.kind === 'redirect') this.#redirect = action.mailbox
    if (action.kind === 'hold' || action.kind === 'discard') this.#fate = action
  }
}

/** What rules found in the header and behind it. */
export function bothFindings(header: Findings | undefined, content: Findings | undefined): Findings | undefined {
  if (header === undefined || content === undefined) return header ?? content
  const fate = header.fate?.kind === 'discard' ? header.fate : (content.fate ?? header.fate)
  const redirect = content.redirect ?? header.redirect
  return {
    warnings: [...header.warnings, ...content.warnings].slice(0, mostWarnings),
    ...(fate === undefined ? {} : { fate }),
    ...(redirect === undefined ? {} : { redirect }),
  }
}

function replyOf(text: string): Reply {
  const [, code = '550', enhanced, said = ''] = /^(\d{3}) (?:([45]\.\d{1,3}\.\d{1,3}) )?(.*)$/.exec(text) ?? []
  return { code: Number(code), ...(enhanced === undefined ? {} : { enhanced }), text: said }
}
