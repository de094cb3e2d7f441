/** A word a listener or a stage puts on a message and rules test (`match tag Filtered`); at most 32 characters. */
export type Tag = string & { readonly __brand: 'Tag' }

/** @throws RangeError when the word is empty, longer than 32 characters or holds a blank. */
export function tag(word: string): Tag {
  if (!/^[\x21-\x7e]{1,32}$/.test(word)) throw new RangeError(`'${word}' is not a tag: 1 to 32 visible characters`)
  return word as Tag
}

/** Adds a tag to a set of tags; the order of arrival stays, a tag stands once. Tags compare without case. */
export function withTag(tags: readonly Tag[], added: Tag): readonly Tag[] {
  return tags.some((one) => one.toLowerCase() === added.toLowerCase()) ? tags : [...tags, added]
}
