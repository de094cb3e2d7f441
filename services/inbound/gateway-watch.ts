import { mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { BlockList, isIPv6 } from 'node:net'
import type { NetworkInterfaceInfo } from 'node:os'
import { dirname, join } from 'node:path'

import type { Logger } from '../../shared/log.ts'

/** Whether clients have addresses of their own here, or all that of the gateway of our container. */
export interface GatewayWatch {
  /** At each connection: answers at once. */
  look(address: string): void
  /** One sentence, when it seems that they have none. */
  readonly notes: readonly string[]
  close(): Promise<void>
}

export interface GatewayWatchParts {
  /** Of our container; none: nothing is looked at. */
  readonly gateways: readonly string[]
  readonly interfaces: NodeJS.Dict<NetworkInterfaceInfo[]>
  readonly dataFolder: string
  readonly log: Pick<Logger, 'warn' | 'info'>
}

/** So many from the gateway, and none from elsewhere, are no accident. */
const enough = 20

/**
 * Where a published port is forwarded by a program of the engine, or IPv6 is translated, each client seems to be the gateway. That can be told of clients only:
 * after twenty from there, without one from anywhere else, it is said, and at each start from then on until one has an address of its own. Containers
 * beside ours and this host's own connections count for nothing.
 */
export async function openGatewayWatch(parts: GatewayWatchParts): Promise<GatewayWatch> {
  const { gateways, interfaces, dataFolder, log } = parts
  if (gateways.length === 0) return { look: () => undefined, notes: [], close: async () => undefined }
  const file = join(dataFolder, 'run', 'clients-from-gateway')
  const gateway = listOf(gateways.map((address) => ({ address })))
  const neighbours = listOf(Object.values(interfaces).flatMap((some = []) => some))
  const text = `clients seem to come from ${gateways.join(' or ')}, the gateway of this container: their own addresses are lost on the way, so that limits, bans and lists in DNS hold for all of them together; see "Client addresses" in docs/operations.md`
  let fromGateway = 0
  let own = false
  let suspected = (await readFile(file, 'utf8').catch(() => undefined)) !== undefined
  let writing: Promise<void> = Promise.resolve()
  if (suspected) log.warn({ gateways }, text)

  const keep = (change: () => Promise<unknown>): void => {
    // It is said again when the next twenty have come.
    writing = writing.then(change).then(
      () => undefined,
      () => undefined,
    )
  }
  function suspect(): void {
    suspected = true
    log.warn({ gateways }, text)
    keep(async () => {
      await mkdir(dirname(file), { recursive: true })
      await writeFile(file, '')
    })
  }
  function acquit(address: string): void {
    own = true
    if (suspected) log.info({ address }, 'clients have addresses of their own')
    suspected = false
    keep(() => rm(file, { force: true }))
  }
  return {
    look(address) {
      if (own) return
      if (isIn(gateway, address)) {
        fromGateway += 1
        if (!suspected && fromGateway >= enough) suspect()
      } else if (!isIn(neighbours, address)) acquit(address)
    },
    get notes() {
      return suspected ? [text] : []
    },
    close: () => writing,
  }
}

function listOf(networks: readonly { readonly address: string; readonly cidr?: string | null }[]): BlockList {
  const list = new BlockList()
  for (const { address, cidr } of networks) {
    const family = isIPv6(address) ? 'ipv6' : 'ipv4'
    const prefix = Number(cidr?.split('/')[1] ?? NaN)
    if (Number.isNaN(prefix)) list.addAddress(address, family)
    else list.addSubnet(address, prefix, family)
  }
  return list
}

function isIn(list: BlockList, address: string): boolean {
  const plain = address.replace(/%.*$/, '')
  return list.check(plain, isIPv6(plain) ? 'ipv6' : 'ipv4')
}
