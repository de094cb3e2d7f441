import sax from 'sax'
import type { Handlers } from 'sax'

import { ReportFault, textOf } from './values.ts'

/** An element with what is in it; names are in lower case and without the prefix of a namespace. */
export interface Section {
  readonly name: string
  /** The text of the first element at the path below it: `date_range/begin`. */
  text(path: string): string | undefined
  /** All elements at the path below it. */
  all(path: string): readonly Section[]
}

const mostDepth = 20
/** Elements in one child of the root: no record of a report has so many. */
const mostElements = 1_000
const mostTextLength = 2_000
/** The parser looks at the size of what it holds behind so many characters. */
const chunkLength = 65_536

/** Faults of real reporters: `&` as it is, and blanks or zeros behind the end. */
const forgiven = /entity|Text data outside of root node/i

/**
 * Tells each child of the root element when it is complete and forgets it then: memory is that of one child, however long the text is.
 * A document type declaration, and with it every entity that is not one of XML's own, is refused.
 * @throws ReportFault for what is not well-formed, has another root, or is deeper than any report
 */
export function readSections(text: string, root: string, tell: (section: Section) => void): void {
  const parser = sax.parser(true, { position: true })
  const open: Element[] = []
  let depth = 0
  let elements = 0

  const handlers: Handlers = {
    onopentag({ name: written }) {
      const name = localName(written)
      depth += 1
      if (depth > mostDepth) throw new ReportFault(`XML elements lie more than ${mostDepth} deep in each other`)
      if (depth === 1 && name !== root)
        throw new ReportFault(`the root element of the XML is <${textOf(name)}>, not <${root}>`)
      if (depth === 2) elements = 0
      if (depth < 2) return
      elements += 1
      if (elements > mostElements) throw new ReportFault(`an XML element holds more than ${mostElements} others`)
      const element = new Element(name)
      open.at(-1)?.children.push(element)
      open.push(element)
    },
    onclosetag() {
      depth -= 1
      const closed = open.pop()
      if (closed !== undefined && open.length === 0) tell(closed)
    },
    ontext: (piece) => open.at(-1)?.add(piece),
    oncdata: (piece) => open.at(-1)?.add(piece),
    ondoctype() {
      throw new ReportFault('the XML has a document type declaration (DOCTYPE)')
    },
    onerror({ message }) {
      if (!forgiven.test(message)) throw new ReportFault(`not well-formed XML: ${textOf(message.split('\n')[0])}`)
      parser.error = null
    },
  }
  Object.assign(parser, handlers)
  for (let at = 0; at < text.length; at += chunkLength) parser.write(text.slice(at, at + chunkLength))
  parser.close()
}

class Element implements Section {
  readonly name: string
  readonly children: Element[] = []
  #text = ''

  constructor(name: string) {
    this.name = name
  }

  add(piece: string): void {
    if (this.#text.length < mostTextLength) this.#text += piece.slice(0, mostTextLength)
  }

  text(path: string): string | undefined {
    const [first] = this.#below(path)
    return first === undefined ? undefined : first.#text
  }

  all(path: string): readonly Section[] {
    return this.#below(path)
  }

  #below(path: string): readonly Element[] {
    let found: readonly Element[] = [this]
    for (const name of path.split('/'))
      found = found.flatMap(({ children }) => children.filter((child) => child.name === name))
    return found
  }
}

function localName(name: string): string {
  return name.slice(name.lastIndexOf(':') + 1).toLowerCase()
}
