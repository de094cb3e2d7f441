/**
 * A change of the header section. The stored bytes never change: what a stage sees, signs or delivers is "edits applied
 * to the stored bytes", in order. Texts hold whole fields with their CRLF.
 */
export type HeaderEdit =
  | { readonly kind: 'prepend'; readonly fields: string }
  /** Removes each field of that name (without case), or only those whose unfolded value `value` equals. */
  | { readonly kind: 'remove'; readonly name: string; readonly value?: string }
  /** Puts `field` in the place of the first field of that name; appended at the end of the section when there is none. */
  | { readonly kind: 'replace'; readonly name: string; readonly field: string }
