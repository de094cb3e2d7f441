import { containerGateways } from '../container-gateways.ts'
import { isChosen } from '../config/listener-choice.ts'
import type { Listener, Position, StrangersRelayRule } from '../config/model.ts'
import { describeOpenRelay, findOpenRelays, openRelayHint } from './open-relay.ts'
import type { RelayTest } from './open-relay.ts'
import { describeTrustedGateway, findTrustedGateways, trustedGatewayHint } from './trusted-gateway.ts'

/** By which strangers can do here what only own clients should. */
export interface OpenDoor {
  readonly at: Position
  readonly code: 'open-relay' | 'trusted-gateway'
  /** `error`: nothing is to be started so. */
  readonly severity: 'error' | 'warning'
  readonly message: string
  readonly hint: string
}

/** @param gateways of our container, when we are in one */
export async function findOpenDoors(
  test: RelayTest,
  gateways: readonly string[] = containerGateways(),
): Promise<readonly OpenDoor[]> {
  const relays = await findOpenRelays(test)
  const { strangersRelay } = test.configuration.pipeline
  const trusted = await findTrustedGateways(test.configuration, test.tables, gateways)
  return [
    ...relays.map((relay) => ({
      at: relay.at,
      code: 'open-relay' as const,
      severity: isMeant(relay.listener, strangersRelay) ? ('warning' as const) : ('error' as const),
      message: describeOpenRelay(relay),
      hint: openRelayHint,
    })),
    ...trusted.map((one) => ({
      at: one.at,
      code: 'trusted-gateway' as const,
      severity: 'warning' as const,
      message: describeTrustedGateway(one),
      hint: trustedGatewayHint,
    })),
  ]
}

function isMeant(listener: Listener, rules: readonly StrangersRelayRule[]): boolean {
  return rules.some((rule) => isChosen(rule.for, listener))
}
