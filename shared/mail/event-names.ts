/** Events about one message: they are lines of its story, in the journal. */
export const messageEvents = [
  'received',
  'made',
  'rejected',
  'routed',
  'filtered',
  'judged',
  'undecided',
  'signed',
  'passed',
  'delivered',
  'relayed',
  'tls policy failed',
  'suspended',
  'delayed',
  'failed',
  'expired',
  'may repeat',
  'deferred',
  'reported',
  'report dropped',
  'aggregate report sent',
  'aggregate report failed',
  'double bounce',
  'report received',
  'report unreadable',
  'discarded',
  'held',
  'released',
  'removed',
  'scheduled',
  'returned',
  'rerouted',
  'replayed',
  'readdressed',
  'recovered',
  'missing',
  'requeued',
] as const

export type MessageEvent = (typeof messageEvents)[number]

/** About sessions and the service: in the log, and for some days in the log of sessions. */
export const otherEvents = [
  'connected',
  'secured',
  'tls failed',
  'disconnected',
  'authenticated',
  'auth failed',
  'rate exceeded',
  'banned',
  'filter report',
  'reloaded',
  'reload refused',
  'webhook dropped',
] as const

export type OtherEvent = (typeof otherEvents)[number]

export type EventName = MessageEvent | OtherEvent
