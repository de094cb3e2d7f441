/** The first or the last place of the subject, between a character of a word and another one, or not there. */
export type Anchor = 'start' | 'finish' | 'edge' | 'inside'

/** A state of a compiled expression. Ways on stand in the order of preference; only the final one has none. */
export interface State {
  readonly accepts?: (code: number) => boolean
  readonly anchor?: Anchor
  /** Notes the place: group n begins at 2n and ends at 2n + 1. */
  readonly note?: number
  readonly to: number[]
}

/** Whether an anchor may be passed. */
export function holdsAt(anchor: Anchor, at: number, subject: string): boolean {
  switch (anchor) {
    case 'start':
      return at === 0
    case 'finish':
      return at === subject.length
    case 'edge':
    case 'inside': {
      const differ = isWord(subject, at - 1) !== isWord(subject, at)
      return differ === (anchor === 'edge')
    }
  }
}

function isWord(subject: string, at: number): boolean {
  return /\w/.test(subject.charAt(at))
}
