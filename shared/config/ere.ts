/** A POSIX extended regular expression, matched anywhere in the subject and without regard to case. */
export interface Expression {
  test(subject: string): boolean
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
  | { readonly kind: 'empty' | 'start' | 'finish' }
  | { readonly kind: 'char'; readonly accepts: (code: number) => boolean }
  | { readonly kind: 'sequence' | 'choice'; readonly parts: readonly Node[] }
  | { readonly kind: 'repeat'; readonly part: Node; readonly least: number; readonly most: number }

interface State {
  readonly accepts?: (code: number) => boolean
  /** Passed only at the first (`start`) or last (`finish`) place of the subject. */
  readonly anchor?: 'start' | 'finish'
  readonly to: number[]
}

/**
 * Compiles for a simulation of all paths at once: the time is linear in the subject, whatever the expression. Subjects longer
 * than 4096 characters never match.
 * @throws ExpressionError
 */
export function compileExpression(pattern: string): Expression {
  if (pattern.length > maximumPattern) throw new ExpressionError(`longer than ${maximumPattern} characters`)
  const tree = parse(pattern.replace(/^\(\?i\)/, ''))
  const states: State[] = []
  const final = add(states, {})
  const first = build(states, tree, final)
  return { test: (subject) => subject.length <= maximumSubject && simulate(states, first, final, subject) }
}

function parse(pattern: string): Node {
  let at = 0

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
        if (pattern.startsWith('?:', at)) at += 2
        else if (pattern[at] === '?') throw new ExpressionError(`"(?" at character ${at} is not POSIX`)
        const inside = choice(depth + 1)
        if (pattern[at] !== ')') throw new ExpressionError('a "(" has no ")"')
        at += 1
        return inside
      }
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

  function repeated(part: Node): Node {
    let node = part
    for (;;) {
      const char = pattern[at]
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
    const known = escapes[char]
    return known === undefined ? literal(char) : { kind: 'char', accepts: known }
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
        const test = classes[named[1] ?? '']
        if (test === undefined) throw new ExpressionError(`there is no class ${named[0]}`)
        tests.push(test)
        at += named[0].length
        continue
      }
      if (/^\[[.=]/.test(pattern.slice(at, at + 2))) throw new ExpressionError('collating elements are not supported')
      at += 1
      const low = char.charCodeAt(0)
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
  return tree
}

function literal(char: string): Node {
  const code = char.charCodeAt(0)
  return { kind: 'char', accepts: inRange(code, code) }
}

/** Letters in either case. */
function inRange(low: number, high: number): (code: number) => boolean {
  return (code) => (code >= low && code <= high) || otherCase(code, low, high)
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
      return add(states, { anchor: node.kind }, next)
    case 'char':
      return add(states, { accepts: node.accepts }, next)
    case 'sequence':
      return node.parts.reduceRight((behind, part) => build(states, part, behind), next)
    case 'choice':
      return add(states, {}, ...node.parts.map((part) => build(states, part, next)))
    case 'repeat':
      return buildRepeat(states, node.part, node.least, node.most, next)
  }
}

function buildRepeat(states: State[], part: Node, least: number, most: number, next: number): number {
  let entry = next
  if (most === Infinity) {
    entry = add(states, {}, next)
    states[entry]?.to.push(build(states, part, entry))
  } else {
    for (let count = least; count < most; count += 1) entry = add(states, {}, next, build(states, part, entry))
  }
  for (let count = 0; count < least; count += 1) entry = build(states, part, entry)
  return entry
}

function simulate(states: readonly State[], first: number, final: number, subject: string): boolean {
  let current = new Set<number>()
  for (let at = 0; ; at += 1) {
    enter(states, current, first, at, subject.length)
    if (current.has(final)) return true
    if (at === subject.length) return false
    const code = subject.charCodeAt(at)
    const following = new Set<number>()
    for (const index of current) {
      const state = states[index]
      if (state?.accepts?.(code) === true) {
        for (const to of state.to) enter(states, following, to, at + 1, subject.length)
      }
    }
    current = following
  }
}

/** Adds a state and all that are reached from it without reading. */
function enter(states: readonly State[], reached: Set<number>, from: number, at: number, length: number): void {
  const open = [from]
  for (let index = open.pop(); index !== undefined; index = open.pop()) {
    if (reached.has(index)) continue
    reached.add(index)
    const state = states[index]
    if (state === undefined || state.accepts !== undefined) continue
    if (state.anchor === 'start' && at !== 0) continue
    if (state.anchor === 'finish' && at !== length) continue
    open.push(...state.to)
  }
}
