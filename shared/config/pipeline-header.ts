import { parseMailbox } from '../mail/address.ts'
import type { Mailbox } from '../mail/address.ts'
import { compileExpression, ExpressionError } from './ere.ts'
import { groupTemplate } from './group-template.ts'
import { choiceOfListeners } from './listener-choice.ts'
import type { HeaderAction, HeaderRule } from './model.ts'
import { finish } from './pipeline-draft.ts'
import type { ParseStatement, PipelineDraft } from './pipeline-draft.ts'
import { positionOf, type TokenReader } from './token-reader.ts'

/** What is looked for in header fields while a message is received. */
export const headerStatements: Readonly<Record<string, ParseStatement>> = { header: parseHeader }

const actions = ['ignore', 'prepend', 'replace', 'warn', 'reject', 'hold', 'discard', 'redirect'] as const
const defaultReject = '550 5.7.1 Message refused: its header is not accepted here'

/** `header match [on "eth0:25" | tag NAME] "EXPRESSION" ACTION`; statements add up, the first that matches a field counts. */
function parseHeader(draft: PipelineDraft): void {
  const { reader } = draft
  const at = positionOf(reader.next())
  reader.expect('match', 'behind "header"')
  const choice = choiceOfListeners(reader)
  const { expression, groups } = expressionOf(reader)
  const action = actionOf(reader, groups)
  const rule: HeaderRule = { at, expression, action, ...(choice === undefined ? {} : { for: choice }) }
  finish(draft, { headerRules: [...draft.settings.headerRules, rule] })
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

function actionOf(reader: TokenReader, groups: number): HeaderAction {
  const { text } = reader.peek()
  const behind = reader.peek(1)
  const action = readAction(reader)
  if (!['prepend', 'replace', 'warn', 'reject'].includes(text)) return action
  try {
    groupTemplate(behind.text, groups)
  } catch (error) {
    if (error instanceof ExpressionError) reader.fail('value', error.message, behind.span, '$$ is a dollar')
    throw error
  }
  return action
}

function readAction(reader: TokenReader): HeaderAction {
  if (reader.accept('ignore')) return { kind: 'ignore' }
  if (reader.accept('prepend')) return { kind: 'prepend', field: fieldOf(reader) }
  if (reader.accept('replace')) return { kind: 'replace', field: fieldOf(reader) }
  if (reader.accept('warn')) return { kind: 'warn', text: reader.string('a text').text }
  if (reader.accept('reject')) return { kind: 'reject', text: reader.atEnd() ? defaultReject : replyOf(reader) }
  if (reader.accept('hold')) return { kind: 'hold', reason: reasonOf(reader) }
  if (reader.accept('discard')) return { kind: 'discard', reason: reasonOf(reader) }
  if (reader.accept('redirect')) return { kind: 'redirect', mailbox: mailboxOf(reader) }
  return reader.unexpected('what to do', actions)
}

function reasonOf(reader: TokenReader): string {
  return reader.atEnd() ? 'header match' : `header match: ${reader.string('a reason').text}`
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

function replyOf(reader: TokenReader): string {
  const { text, span } = reader.string('a reply')
  return /^[45]\d\d [\x20-\x7e]+$/.test(text)
    ? text
    : reader.fail('value', `"${text}" is no reply`, span, '"550 5.7.1 Not accepted here"')
}
