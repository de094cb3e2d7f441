/** What `preflight` found out about one thing. */
export interface Finding {
  readonly about: string
  /** `look`: it works, or mail waits for it unharmed; `bad`: this version cannot take over. */
  readonly verdict: 'good' | 'look' | 'bad'
  readonly text: string
}
