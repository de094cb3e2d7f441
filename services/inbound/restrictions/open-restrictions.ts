import { setTimeout as wait } from 'node:timers/promises'

import type { Configuration, Listener } from '../../../shared/config/model.ts'
import type { Clock } from '../../../shared/clock.ts'
import { newMessageId } from '../../../shared/mail/message-id.ts'
import { tag } from '../../../shared/mail/tag.ts'
import { localAddresses } from '../../../shared/system.ts'
import { stranger } from '../../../shared/restrictions/stranger.ts'
import type { ResolveRecipient } from '../reception.ts'
import { boundedDns } from '../../../shared/restrictions/dns.ts'
import type { Resolver } from '../../../shared/resolver.ts'
import type { Means } from '../../../shared/restrictions/question.ts'
import { restrictionLists } from '../../../shared/restrictions/restriction-lists.ts'
import type { RuleHits } from '../../../shared/rule-hits/rule-hits.ts'
import type { Restrictions } from './session-restrictions.ts'
import { spfQuestioner } from './spf-questioner.ts'

export interface RestrictionParts extends Pick<Means, 'tables' | 'log' | 'greylist'> {
  readonly configuration: Configuration
  readonly listener: Listener
  readonly resolver: Omit<Resolver, 'close'>
  readonly resolveRecipient: ResolveRecipient
  readonly clock: Clock
  /** Its clients stand for this host. */
  readonly thisHost: boolean
  readonly ruleHits?: RuleHits | undefined
  readonly filterTally?: Means['filterTally']
  /** In place of real time. */
  readonly sleep?: Restrictions['sleep']
}

/** Absent: no `restrict` of pipeline.conf is for this listener. */
export function openRestrictions(parts: RestrictionParts): Restrictions | undefined {
  const {
    configuration,
    listener,
    resolver,
    resolveRecipient,
    clock,
    thisHost,
    tables,
    log,
    greylist,
    ruleHits,
    filterTally,
    sleep = sleepUnlessOver,
  } = parts
  const lists = restrictionLists(configuration, listener)
  if (lists === undefined) return undefined
  const own = localAddresses()
  return {
    lists,
    means: {
      tables,
      dns: boundedDns(resolver),
      delimiter: configuration.subAddressDelimiter,
      greylist,
      spfPasses: spfQuestioner({ resolver, clock, log, hostname: configuration.hostname }),
      filterTally,
      log,
    },
    isOwn: (address) => thisHost || own.has(address.replace(/%.*$/, '')),
    asStranger(mailbox, sender) {
      const receivedAt = clock.now()
      const envelope = {
        id: newMessageId(receivedAt),
        reversePath: sender,
        recipients: [],
        tags: listener.tag === undefined ? [] : [tag(listener.tag)],
        origin: { kind: 'smtp', address: stranger },
        receivedAt,
      } as const
      return resolveRecipient(envelope, mailbox)
    },
    sleep,
    ...(ruleHits === undefined ? {} : { hits: ruleHits }),
  }
}

/** Wakes at once when the session is over. */
export async function sleepUnlessOver(ms: number, signal: AbortSignal): Promise<void> {
  await wait(ms, undefined, { signal, ref: false }).catch(() => undefined)
}
