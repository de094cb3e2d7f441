import { findGroups } from './ere-groups.ts'
import { holdsAt } from './ere-state.ts'
import type { Anchor, State } from './ere-state.ts'

/** A regular expression, matched anywhere in the subject. */
export interface Expression {
  test(subject: string): boolean
}

/** One that also tells what its groups matched. */
export interface GroupingExpression extends Expression {
  /** How many groups it has. */
  readonly groups: number
  /** What the whole and each group matched, the empty string for a group that took no part; `undefined`: no match. */
  find(subject: string): readonly string[] | undefined
}

/** Absent: POSIX extended, without regard to case. */
export interface ExpressionSyntax {
  readonly caseSensitive?: boolean
  /** Perl's: lazy repeats, `\b`, `\d` in brackets, named groups. What takes more than linear time is refused. */
  readonly perl?: boolean
}

/** The expression cannot be read; the message says why. */
export class ExpressionError extends Error {
  override readonly name = 'ExpressionError'
}

const maximumPattern = 2048
const maximumSubject = 4096
const maximumStates = 20_000
const maximumRepeat = 255

type Node =
  | { readonly kind: 'empty' | Anchor }
  | { readonly kind: 'char'; readonly accepts: (code: number) => boolean }
  | { readonly kind: 'sequence' | 'choice'; readonly parts: readonly Node[] }
  | { readonly kind: 'repeat'; readonly part: Node; readonly least: number; readonly most: number; lazy?: true }
  | { readonly kind: 'group'; readonly part: Node; readonly index: number }

/**
 * Compiles for a simulation of all paths at once: the time is linear in the subject, whatever the expression. Subjects longer
 * than 4096 characters never match.
 * @throws ExpressionError
 */
export function compileExpression(pattern: string, syntax: ExpressionSyntax = {}): GroupingExpression {
  if (pattern.length > maximumPattern) throw new ExpressionError(`longer than ${maximumPattern} characters`)
  const plain = pattern.replace(/^\(\?i\)/, '')
  const { tree, groups } = parse(plain, plain === pattern ? syntax : { ...syntax, caseSensitive: false })
  const states: State[] = []
  const final = add(states, {})
  const first = build(states, { kind: 'group', part: tree, index: 0 }, final)
  const test = (subject: string): boolean => subject.length <= maximumSubject && simulate(states, first, final, subject)
  return { test, groups, find: (subject) => (test(subject) ? findGroups(states, first, final, subject) : undefined) }
}

function parse(
  pattern: string,
  { perl = false, caseSensitive = false }: ExpressionSyntax,
): { readonly tree: Node; readonly groups: number } {
  const folds = !caseSensitive
  let at = 0
  let groups = 0

  function choice(depth: number): Node {
    if (depth > 100) throw new ExpressionError('groups are nested too deeply')
    const parts = [sequence(depth)]
    while (pattern[at] === '|') {
      at += 1
      parts.push(sequence(depth))
    }
    return parts.length === 1 ? (parts[0] ?? { kind: 'empty' }) : { kind: 'choice', parts }
  }

  function sequence(depth: number): Node {
    const parts: Node[] = []
    while (at < pattern.length && pattern[at] !== '|' && !(pattern[at] === ')' && depth > 0)) {
      parts.push(repeated(atom(depth)))
    }
    return { kind: 'sequence', parts }
  }

  function atom(depth: number): Node {
    const char = pattern[at] ?? ''
    at += 1
    switch (char) {
      case '(': {
        const index = openGroup()
        const inside = choice(depth + 1)
        if (pattern[at] !== ')') throw new ExpressionError('a "(" has no ")"')
        at += 1
        return index === undefined ? inside : { kind: 'group', part: inside, index }
      }
      case '{':
        if (perl) return literal(char)
        throw new ExpressionError(`"{" at character ${at} has nothing to repeat`)
      case '*':
      case '+':
      case '?':
        throw new ExpressionError(`"${char}" at character ${at} has nothing to repeat`)
      case '^':
        return { kind: 'start' }
      case '$':
        return { kind: 'finish' }
      case '.':
        return { kind: 'char', accepts: () => true }
      case '[':
        return bracket()
      case '\\':
        return escaped()
      default:
        return literal(char)
    }
  }

  /** Behind the "(": the number of the group; absent for one that only groups. */
  function openGroup(): number | undefined {
    const [opening = ''] = /^\?(?:P?<[A-Za-z_]\w*>|.?)/.exec(pattern.slice(at)) ?? []
    if (opening === '?:') {
      at += 2
      return undefined
    }
    if (opening !== '' && !perl) throw new ExpressionError(`"(?" at character ${at} is not POSIX`)
    if (opening !== '' && !/<\w+>$/.test(opening))
      throw new ExpressionError(`"(${opening}" at character ${at}: no time limit can be given for it`)
    at += opening.length
    return (groups += 1)
  }

  function repeated(part: Node): Node {
    let node = part
    for (;;) {
      const char = pattern[at]
      if (perl && node.kind === 'repeat' && node !== part) {
        if (char === '?') {
          at += 1
          return { ...node, lazy: true }
        }
        if (char === '+') throw new ExpressionError(`the possessive "+" at character ${at + 1} is not supported`)
      }
      if (perl && char === '{' && !/^\{\d{1,3}(?:,\d{0,3})?\}/.test(pattern.slice(at, at + 12))) return node
      if (char === '*') node = { kind: 'repeat', part: node, least: 0, most: Infinity }
      else if (char === '+') node = { kind: 'repeat', part: node, least: 1, most: Infinity }
      else if (char === '?') node = { kind: 'repeat', part: node, least: 0, most: 1 }
      else if (char === '{') {
        const bounds = /^\{(\d{1,3})(,(\d{1,3})?)?\}/.exec(pattern.slice(at, at + 12))
        if (bounds === null) throw new ExpressionError(`"{" at character ${at + 1} does not begin {m}, {m,} or {m,n}`)
        const least = Number(bounds[1])
        const most = bounds[2] === undefined ? least : bounds[3] === undefined ? Infinity : Number(bounds[3])
        if (least > maximumRepeat || (most !== Infinity && (most > maximumRepeat || most < least))) {
          throw new ExpressionError(`the bounds ${bounds[0]} are not in order or above ${maximumRepeat}`)
        }
        node = { kind: 'repeat', part: node, least, most }
        at += bounds[0].length - 1
      } else return node
      at += 1
    }
  }

  function escaped(): Node {
    const char = pattern[at]
    if (char === undefined) throw new ExpressionError('it ends with a backslash')
    at += 1
    if (/[1-9]/.test(char)) throw new ExpressionError('back-references are not supported')
    const anchor = perl ? perlAnchors[char] : undefined
    if (anchor !== undefined) return { kind: anchor }
    const known = escapes[char]
    return known === undefined ? literal(plainOf(char)) : { kind: 'char', accepts: known }
  }

  /** What a letter behind a backslash stands for. */
  function plainOf(char: string): string {
    if (!perl || !/[A-Za-z0-9]/.test(char)) return char
    const plain = perlCharacters[char]
    if (plain === undefined) throw new ExpressionError(`"\\${char}" is not supported`)
    return plain
  }

  function literal(char: string): Node {
    const code = char.charCodeAt(0)
    return { kind: 'char', accepts: inRange(code, code) }
  }

  /** Letters in either case, unless case counts. */
  function inRange(low: number, high: number): (code: number) => boolean {
    return (code) => (code >= low && code <= high) || (folds && otherCase(code, low, high))
  }

  function bracket(): Node {
    const begun = at
    const negated = pattern[at] === '^'
    if (negated) at += 1
    const tests: ((code: number) => boolean)[] = []
    for (let first = true; first || pattern[at] !== ']'; first = false) {
      const char = pattern[at]
      if (char === undefined) throw new ExpressionError(`the "[" at character ${begun} has no "]"`)
      const named = /^\[:([a-z]+):\]/.exec(pattern.slice(at, at + 16))
      if (named !== null) {
        const test = (caseSensitive ? caseClasses[named[1] ?? ''] : undefined) ?? classes[named[1] ?? '']
        if (test === undefined) throw new ExpressionError(`there is no class ${named[0]}`)
        tests.push(test)
        at += named[0].length
        continue
      }
      if (/^\[[.=]/.test(pattern.slice(at, at + 2))) throw new ExpressionError('collating elements are not supported')
      at += 1
      const escape = perl && char === '\\' ? pattern[at++] : undefined
      const set = escape === undefined ? undefined : escapes[escape]
      if (set !== undefined) {
        tests.push(set)
        continue
      }
      const low = (escape === undefined ? char : plainOf(escape)).charCodeAt(0)
      const end = pattern[at] === '-' && pattern[at + 1] !== ']' ? pattern[at + 1] : undefined
      if (end === undefined) {
        tests.push(inRange(low, low))
      } else {
        at += 2
        const high = end.charCodeAt(0)
        if (high < low) throw new ExpressionError(`the range ${char}-${end} is not in order`)
        tests.push(inRange(low, high))
      }
    }
    at += 1
    return { kind: 'char', accepts: (code) => tests.some((test) => test(code)) !== negated }
  }

  const tree = choice(0)
  return { tree, groups }
}

function otherCase(code: number, low: number, high: number): boolean {
  if (code >= 65 && code <= 90) return code + 32 >= low && code + 32 <= high
  if (code >= 97 && code <= 122) return code - 32 >= low && code - 32 <= high
  return false
}

function matching(expression: RegExp): (code: number) => boolean {
  return (code) => expression.test(String.fromCharCode(code))
}

const classes: Readonly<Record<string, (code: number) => boolean>> = {
  alpha: matching(/[A-Za-z]/),
  digit: matching(/\d/),
  alnum: matching(/[A-Za-z0-9]/),
  upper: matching(/[A-Za-z]/),
  lower: matching(/[A-Za-z]/),
  space: matching(/[ \t\n\r\f\v]/),
  blank: matching(/[ \t]/),
  punct: matching(/[!-/:-@[-`{-~]/),
  print: matching(/[ -~]/),
  graph: matching(/[!-~]/),
  cntrl: (code) => code < 32 || code === 127,
  xdigit: matching(/[0-9A-Fa-f]/),
}

const caseClasses: Readonly<Record<string, (code: number) => boolean>> = {
  upper: matching(/[A-Z]/),
  lower: matching(/[a-z]/),
}

const perlAnchors: Readonly<Record<string, Anchor>> = {
  A: 'start',
  z: 'finish',
  Z: 'finish',
  b: 'edge',
  B: 'inside',
}

const perlCharacters: Readonly<Record<string, string>> = { t: '\t', n: '\n', r: '\r', f: '\f', e: '\x1b', a: '\x07' }

const escapes: Readonly<Record<string, (code: number) => boolean>> = {
  w: matching(/\w/),
  W: matching(/\W/),
  s: matching(/\s/),
  S: matching(/\S/),
  d: matching(/\d/),
  D: matching(/\D/),
}

function add(states: State[], state: Omit<State, 'to'>, ...to: number[]): number {
  if (states.length >= maximumStates) throw new ExpressionError('it is too large')
  return states.push({ ...state, to }) - 1
}

/** States that read `node` and go on at `next`; returns the first of them. */
function build(states: State[], node: Node, next: number): number {
  switch (node.kind) {
    case 'empty':
      return next
    case 'start':
    case 'finish':
    case 'edge':
    case 'inside':
      return add(states, { anchor: node.kind }, next)
    case 'group': {
      const end = add(states, { note: node.index * 2 + 1 }, next)
      return add(states, { note: node.index * 2 }, build(states, node.part, end))
    }
    case 'char':
      return add(states, { accepts: node.accepts }, next)
    case 'sequence':
      return node.parts.reduceRight((behind, part) => build(states, part, behind), next)
    case 'choice':
      return add(states, {}, ...node.parts.map((part) => build(states, part, next)))
    case 'repeat':
      return buildRepeat(states, node, next)
  }
}

function buildRepeat(
  states: State[],
  { part, least, most, lazy }: Extract<Node, { readonly kind: 'repeat' }>,
  next: number,
): number {
  const ways = (on: number): readonly number[] => (lazy ? [next, on] : [on, next])
  let entry = next
  if (most === Infinity) {
    entry = add(states, {})
    states[entry]?.to.push(...ways(build(states, part, entry)))
  } else {
    for (let count = least; count < most; count += 1) entry = add(states, {}, ...ways(build(states, part, entry)))
  }
  for (let count = 0; count < least; count += 1) entry = build(states, part, entry)
  return entry
}

function simulate(states: readonly State[], first: number, final: number, subject: string): boolean {
  let current = new Set<number>()
  for (let at = 0; ; at += 1) {
    enter(states, current, first, at, subject)
    if (current.has(final)) return true
    if (at === subject.length) return false
    const code = subject.charCodeAt(at)
    const following = new Set<number>()
    for (const index of current) {
      const state = states[index]
      if (state?.accepts?.(code) === true) {
        for (const to of state.to) enter(states, following, to, at + 1, subject)
      }
    }
    current = following
  }
}

/** Adds a state and all that are reached from it without reading. */
function enter(states: readonly State[], reached: Set<number>, from: number, at: number, subject: string): void {
  const open = [from]
  for (let index = open.pop(); index !== undefined; index = open.pop()) {
    if (reached.has(index)) continue
    reached.add(index)
    const state = states[index]
    if (state === undefined || state.accepts !== undefined) continue
    if (state.anchor !== undefined && !holdsAt(state.anchor, at, subject)) continue
    open.push(...state.to)
  }
}
