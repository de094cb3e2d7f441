/** What is measured: a job, a size of body, and whether a connection carries one message or many. */
export interface Series {
  readonly name: string
  readonly job: Job
  readonly bytes: number
  readonly reuse: boolean
  /** Messages of one run unless told otherwise. */
  readonly messages: number
}

/** `relay`: accept and hand on by SMTP. `inbound`: accept, check, hand on by LMTP. */
export type Job = 'relay' | 'inbound'

export const allSeries: readonly Series[] = [
  { name: 'relay-4k-1', job: 'relay', bytes: 4096, reuse: false, messages: 3000 },
  { name: 'relay-4k-d', job: 'relay', bytes: 4096, reuse: true, messages: 3000 },
  { name: 'relay-64k-1', job: 'relay', bytes: 65_536, reuse: false, messages: 1500 },
  { name: 'relay-64k-d', job: 'relay', bytes: 65_536, reuse: true, messages: 1500 },
  { name: 'inbound-4k-1', job: 'inbound', bytes: 4096, reuse: false, messages: 2000 },
  { name: 'inbound-4k-d', job: 'inbound', bytes: 4096, reuse: true, messages: 2000 },
  { name: 'inbound-64k-d', job: 'inbound', bytes: 65_536, reuse: true, messages: 1000 },
]
