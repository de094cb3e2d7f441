import { parseMailbox } from '../mail/address.ts'
import type { Mailbox } from '../mail/address.ts'
import { compileExpression, ExpressionError } from './ere.ts'
import { groupTemplate } from './group-template.ts'
import { choiceOfListeners } from './listener-choice.ts'
import type { BodyAction, BodyRule, ContentRules, HeaderAction, HeaderRule } from './model.ts'
import { finish, sizeOf } from './pipeline-draft.ts'
import type { ParseStatement, PipelineDraft } from './pipeline-draft.ts'
import { positionOf, type TokenReader } from './token-reader.ts'

/** What is looked for in header fields and in the body while a message is received. */
export const headerStatements: Readonly<Record<string, ParseStatement>> = {
  header: (draft) => finish(draft, { headerRules: [...draft.settings.headerRules, headerRuleOf(draft.reader)] }),
  'mime-header': (draft) => addHeaderRule(draft, 'mimeHeader'),
  'nested-header': (draft) => addHeaderRule(draft, 'nestedHeader'),
  body: parseBody,
}

const actions = ['ignore', 'prepend', 'replace', 'warn', 'reject', 'hold', 'discard', 'redirect'] as const
const defaultReject = {
  header: '550 5.7.1 Message refused: its header is not accepted here',
  body: '550 5.7.1 Message refused: its content is not accepted here',
}
type Where = keyof typeof defaultReject

function addHeaderRule(draft: PipelineDraft, list: 'mimeHeader' | 'nestedHeader'): void {
  const rule = headerRuleOf(draft.reader)
  finishContent(draft, { [list]: [...draft.settings.contentRules[list], rule] })
}

/** `body match ... "EXPRESSION" ACTION`, as for header fields; `body limit 50K`: octets of each part that are looked at. */
function parseBody(draft: PipelineDraft): void {
  const { reader } = draft
  const at = positionOf(reader.peek())
  if (reader.peek(1).text === 'limit') {
    reader.next()
    reader.next()
    return finishContent(draft, { bodyBytes: sizeOf(reader) })
  }
  const matched = matchOf(reader, 'body')
  const action = actionOf<BodyAction>(reader, matched, 'body', (kind) => ({ kind, line: lineOf(reader) }))
  const rule: BodyRule = { at, expression: matched.expression, action, ...matched.for }
  finishContent(draft, { body: [...draft.settings.contentRules.body, rule] })
}

function finishContent(draft: PipelineDraft, change: Partial<ContentRules>): void {
  finish(draft, { contentRules: { ...draft.settings.contentRules, ...change } })
}

/** `header match [on "eth0:25" | tag NAME] "EXPRESSION" ACTION`; statements add up, the first that matches a field counts. */
function headerRuleOf(reader: TokenReader): HeaderRule {
  const at = positionOf(reader.peek())
  const matched = matchOf(reader, 'header')
  const action = actionOf<HeaderAction>(reader, matched, 'header', (kind) => ({ kind, field: fieldOf(reader) }))
  return { at, expression: matched.expression, action, ...matched.for }
}

interface Match {
  readonly expression: string
  readonly groups: number
  readonly for: Pick<HeaderRule, 'for'>
  /** `body match`, for the log. */
  readonly name: string
}

function matchOf(reader: TokenReader, where: Where): Match {
  const { text: word } = reader.next()
  if (where === 'header') reader.expect('match', `behind "${word}"`)
  else if (!reader.accept('match')) reader.unexpected('what about the body', ['match', 'limit'])
  const choice = choiceOfListeners(reader)
  return { ...expressionOf(reader), for: choice === undefined ? {} : { for: choice }, name: `${word} match` }
}

function expressionOf(reader: TokenReader): { readonly expression: string; readonly groups: number } {
  const { text, span } = reader.string('an expression')
  try {
    return { expression: text, groups: compileExpression(text).groups }
  } catch (error) {
    if (error instanceof ExpressionError) reader.fail('value', `the expression cannot be read: ${error.message}`, span)
    throw error
  }
}

type PlainAction = Exclude<HeaderAction, { readonly field: string }>

/** @param added what `prepend` and `replace` put there */
function actionOf<Action>(
  reader: TokenReader,
  { groups, name }: Match,
  where: Where,
  added: (kind: 'prepend' | 'replace') => Action,
): Action | PlainAction {
  const { text } = reader.peek()
  const behind = reader.peek(1)
  const action = readAction(reader, name, where, added)
  if (!['prepend', 'replace', 'warn', 'reject'].includes(text)) return action
  try {
    groupTemplate(behind.text, groups)
  } catch (error) {
    if (error instanceof ExpressionError) reader.fail('value', error.message, behind.span, '$$ is a dollar')
    throw error
  }
  return action
}

function readAction<Action>(
  reader: TokenReader,
  name: string,
  where: Where,
  added: (kind: 'prepend' | 'replace') => Action,
): Action | PlainAction {
  if (reader.accept('ignore')) return { kind: 'ignore' }
  if (reader.accept('prepend')) return added('prepend')
  if (reader.accept('replace')) return added('replace')
  if (reader.accept('warn')) return { kind: 'warn', text: reader.string('a text').text }
  if (reader.accept('reject')) return { kind: 'reject', text: reader.atEnd() ? defaultReject[where] : replyOf(reader) }
  if (reader.accept('hold')) return { kind: 'hold', reason: reasonOf(reader, name) }
  if (reader.accept('discard')) return { kind: 'discard', reason: reasonOf(reader, name) }
  if (reader.accept('redirect')) return { kind: 'redirect', mailbox: mailboxOf(reader) }
  return reader.unexpected('what to do', actions)
}

function reasonOf(reader: TokenReader, name: string): string {
  return reader.atEnd() ? name : `${name}: ${reader.string('a reason').text}`
}

function mailboxOf(reader: TokenReader): Mailbox {
  const { text, span } = reader.string('an address')
  return parseMailbox(text) ?? reader.fail('value', `"${text}" is not an address`, span, '"postmaster@example.org"')
}

function fieldOf(reader: TokenReader): string {
  const { text, span } = reader.string('a header field')
  return /^[\x21-\x39\x3b-\x7e]+: ?[^\r\n\0]*$/.test(text)
    ? text
    : reader.fail('value', `"${text}" is no header field`, span, '"X-Checked: yes"')
}

/** RFC 5322 §2.1.1 */
function lineOf(reader: TokenReader): string {
  const { text, span } = reader.string('a line')
  return /^[^\r\n\0]{0,998}$/.test(text)
    ? text
    : reader.fail('value', 'this is not one line of at most 998 octets', span)
}

function replyOf(reader: TokenReader): string {
  const { text, span } = reader.string('a reply')
  return /^[45]\d\d [\x20-\x7e]+$/.test(text)
    ? text
    : reader.fail('value', `"${text}" is no reply`, span, '"550 5.7.1 Not accepted here"')
}
