import { networkInterfaces } from 'node:os'
import { join } from 'node:path'
import { performance } from 'node:perf_hooks'

import { openBlockedSenders } from '../../shared/blocked-senders.ts'
import { containerGateways } from '../../shared/container-gateways.ts'
import { createPasswordVerifier } from '../../shared/crypt/verify-password.ts'
import { flushDestination } from '../../shared/pipeline/flush-destination.ts'
import type { Service } from '../../shared/service.ts'
import { followAcme } from './acme/follow-acme.ts'
import { openGatewayWatch } from './gateway-watch.ts'
import { guardDoors } from './guard-doors.ts'
import { openInbound } from './open-inbound.ts'
import { recipientResolver } from './recipient-resolver.ts'

/** The MTA's way in: SMTP and submission listeners. */
export default {
  name: 'inbound',
  async start(context) {
    const unfollow = await guardDoors(context)
    const verifier = createPasswordVerifier()
    const gateways = containerGateways()
    const watch = await openGatewayWatch({ ...context, gateways, interfaces: networkInterfaces() })
    const blocked = openBlockedSenders(context.dataFolder, () => context.clock.now(), context.log)
    try {
      const inbound = await openInbound({
        ...context,
        recipientResolver: (configuration) =>
          recipientResolver(configuration, context.tables, blocked, context.ruleHits),
        greylist: context.queues.greylist,
        flush: (destination) => flushDestination(context.queues, destination, context.clock),
        verifier,
        monotonic: () => performance.now(),
        ...(gateways.length === 0 ? {} : { lookAtClient: (address) => watch.look(address) }),
        ticketFile: join(context.dataFolder, 'tls-tickets'),
      })
      const acme = followAcme(context, () => inbound.refreshCertificates())
      return {
        get listens() {
          return inbound.listens
        },
        health: async () => inbound.troubles(),
        lacks: () => inbound.troubles(),
        notes: () => watch.notes,
        connections: () => inbound.connections(),
        async close() {
          unfollow()
          await acme.close()
          await inbound.close()
          await verifier.close()
          await watch.close()
        },
      }
    } catch (error) {
      unfollow()
      await verifier.close()
      throw error
    }
  },
} satisfies Service
