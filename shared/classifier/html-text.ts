export interface HtmlText {
  readonly text: string
  /** What the markup says. */
  readonly html: { readonly links: readonly string[]; readonly hidden: boolean }
}

const blocks = new Set(['p', 'br', 'div', 'td', 'th', 'tr', 'li', 'table', 'h1', 'h2', 'h3', 'h4', 'h5', 'h6', 'title'])
const silent = new Set(['script', 'style'])
const mostLinks = 300
const mostTagLength = 2_000

/** Text and links of HTML as it is sent: unclosed, nested wrongly, cut off. One pass from left to right. */
export function htmlText(html: string): HtmlText {
  const links: string[] = []
  const pieces: string[] = []
  let hidden = false
  let at = 0
  while (at < html.length) {
    const open = html.indexOf('<', at)
    if (open < 0) {
      pieces.push(html.slice(at))
      break
    }
    pieces.push(html.slice(at, open))
    if (html.startsWith('<!--', open)) {
      const end = html.indexOf('-->', open + 4)
      at = end < 0 ? html.length : end + 3
      continue
    }
    const close = html.indexOf('>', open)
    if (close < 0) break
    const tag = html.slice(open + 1, Math.min(close, open + mostTagLength))
    at = close + 1
    const name = /^\/?([a-z][a-z0-9]{0,14})/i.exec(tag)?.[1]?.toLowerCase()
    if (name === undefined) continue
    if (blocks.has(name)) pieces.push('\n')
    if (tag.startsWith('/')) continue
    if (silent.has(name)) at = endOf(html, name, at)
    const link = /\b(?:href|src|action|background)\s*=\s*["']?([^"'\s>]{1,500})/i.exec(tag)?.[1]
    if (link !== undefined && links.length < mostLinks) links.push(link)
    hidden ||= /display\s*:\s*none|font-size\s*:\s*[01](?:px|pt)?\s*[;"']|visibility\s*:\s*hidden/i.test(tag)
  }
  return { text: decodeEntities(pieces.join('')), html: { links, hidden } }
}

function endOf(html: string, name: string, from: number): number {
  const end = new RegExp(`</${name}`, 'gi')
  end.lastIndex = from
  const found = end.exec(html)
  return found === null ? html.length : found.index
}

const entities: Readonly<Record<string, string>> = {
  amp: '&',
  lt: '<',
  gt: '>',
  quot: '"',
  apos: "'",
  nbsp: ' ',
  euro: '€',
  pound: '£',
  copy: '©',
  zwnj: '\u200c',
  shy: '\u00ad',
}

function decodeEntities(text: string): string {
  if (!text.includes('&')) return text
  return text.replaceAll(/&(?:#(\d{1,7})|#x([0-9a-f]{1,6})|([a-z]{2,8}));?/gi, (all, decimal, hex, name) => {
    if (name !== undefined) return entities[(name as string).toLowerCase()] ?? all
    const code = decimal === undefined ? Number.parseInt(hex as string, 16) : Number(decimal)
    return code > 0 && code <= 0x10ffff ? String.fromCodePoint(code) : ' '
  })
}
