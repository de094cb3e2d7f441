import { isDeepStrictEqual } from 'node:util'

import { settle } from '../config/settle.ts'
import type { Listener, Restriction } from '../config/model.ts'
import type { TableSet } from '../config/tables.ts'
import { silentLog } from '../log.ts'
import type { Mailbox } from '../mail/address.ts'
import { evaluate } from '../restrictions/evaluate.ts'
import type { Means, Question, Resolution } from '../restrictions/question.ts'
import { restrictionLists } from '../restrictions/restriction-lists.ts'
import { stranger } from '../restrictions/stranger.ts'
import { resolveForwardPath } from '../routing/forward-path.ts'
import type { Judge } from './judge-message.ts'
import { listenerOf } from './listener-of.ts'
import { NotRecorded } from './not-recorded.ts'
import type { RecordedClient, RecordedMessage } from './recorded-message.ts'

const stages = ['connect', 'helo', 'mail', 'rcpt', 'data'] as const

/** Looked up, counted or seen in the session: no record has it. */
const notInRecords = new Set<Restriction['rule']['kind']>(['dnsbl', 'dnsbl-score', 'greylist', 'pipelining'])

/**
 * The restriction that refuses a recipient. One that asks for what is not recorded is passed over when the other configuration has
 * the same: then it makes no difference.
 * @param other what the other configuration has on its listener
 * @param known the one that refused it then, as the record says: where it is reached it refuses again
 * @throws NotRecorded, TableError
 */
export async function refusedBy(
  judge: Judge & { readonly tables: Means['tables'] },
  message: RecordedMessage & { readonly client: RecordedClient },
  recipient: Mailbox,
  other: readonly Restriction[],
  known: Restriction | undefined,
): Promise<Restriction | undefined> {
  const question = questionOf(judge, message, recipient)
  const means = meansOf(judge)
  const own = restrictionsOn(judge.configuration, listenerOf(judge.configuration.listeners, message.client.listener))
  for (const stage of stages) {
    for (const restriction of own.filter((one) => one.stage === stage)) {
      if (known !== undefined && isSame(known, restriction)) return restriction
      const verdict = await verdictOf(restriction, question, means).catch((error: unknown) => {
        if (error instanceof NotRecorded && other.some((one) => isSame(one, restriction))) return undefined
        throw error
      })
      if (verdict?.kind === 'refused') return restriction
      if (verdict?.by !== undefined) break
    }
  }
  return undefined
}

/** Of all stages, in their order. */
export function restrictionsOn(
  judge: Pick<Judge['configuration'], 'pipeline'>,
  listener: Listener,
): readonly Restriction[] {
  const lists = restrictionLists(judge, listener)
  return lists === undefined ? [] : [...lists.stages.values()].flat()
}

/** Wherever it stands, tables that are written out in it included. */
export function isSame(one: Restriction, other: Restriction): boolean {
  return one.stage === other.stage && isDeepStrictEqual(one.rule, other.rule)
}

async function verdictOf(restriction: Restriction, question: Question, means: Means) {
  if (notInRecords.has(restriction.rule.kind)) throw notRecorded(restriction)
  try {
    return await evaluate([restriction], question, means)
  } catch (error) {
    throw error instanceof NotRecorded ? notRecorded(restriction) : error
  }
}

function notRecorded({ text }: Restriction): NotRecorded {
  return new NotRecorded(`'${text}' asks for what is not in the record`)
}

function missing(): never {
  throw new NotRecorded('not in the record')
}

function questionOf(
  judge: Judge,
  { client, from }: RecordedMessage & { readonly client: RecordedClient },
  recipient: Mailbox,
): Question {
  const { address, helo, user, tls } = client
  return {
    client: {
      address,
      own: client.thisHost === true || judge.localAddresses.has(address),
      name: async () => missing(),
    },
    secure: tls,
    pipelined: false,
    ...(helo === undefined ? {} : { helo }),
    ...(user === undefined ? {} : { user }),
    sender: { text: from ?? '', mailbox: from, bare: false },
    recipient: { text: recipient, mailbox: recipient, bare: false },
    asStranger: async (mailbox) => asStranger(judge, mailbox, from),
    firstTime: () => false,
    // Without TLS there is none.
    ...(tls
      ? {
          get certificate() {
            return missing()
          },
        }
      : {}),
  }
}

function meansOf({ tables, configuration }: Judge): Means {
  const none = async (): Promise<never> => missing()
  return {
    tables,
    dns: { a: none, aaaa: none, mx: none, txt: none },
    delimiter: configuration.subAddressDelimiter,
    sleep: () => Promise.resolve(),
    greylist: { waitMs: none },
    spfPasses: none,
    log: silentLog(),
  }
}

async function asStranger(judge: Judge, mailbox: Mailbox, reversePath: RecordedMessage['from']): Promise<Resolution> {
  const transaction = { peer: { address: stranger }, tls: false, tags: [], reversePath }
  return settle(judge.tables, (tables: TableSet) =>
    resolveForwardPath({ ...judge, tables, transaction }, mailbox, Date.now()),
  )
}
