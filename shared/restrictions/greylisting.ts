import { isIPv4 } from 'node:net'

import { networkOf } from '../config/network.ts'
import type { GreylistRule } from '../config/model.ts'
import type { Finding, Means, Question, SaidPath } from './question.ts'

/** Whoever has logged in, or is this host, does not wait; while the memory is away nobody does. */
export async function checkGreylist(rule: GreylistRule, question: Question, means: Means): Promise<Finding> {
  const { client, user, sender, recipient } = question
  if (user !== undefined || client.own || recipient === undefined) return 'next'
  const attempt = { network: networkOfClient(client.address, rule), sender: keyOf(sender), recipient: keyOf(recipient) }
  let waitMs: number
  try {
    waitMs = await means.greylist.waitMs(attempt, rule)
  } catch (error) {
    means.log.warn({ err: error, address: client.address }, 'greylisting is not possible now: the client is let in')
    return 'next'
  }
  if (waitMs <= 0 || (rule.exceptSpf && (await means.spfPasses(question)))) return 'next'
  const seconds = Math.ceil(waitMs / 1000)
  return { code: 450, enhanced: '4.7.1', text: `<${recipient.text}>: Greylisted, try again in ${seconds} seconds` }
}

function networkOfClient(address: string, { ipv4Bits, ipv6Bits }: GreylistRule): string {
  const plain = address.replace(/%.*$/, '')
  return networkOf(plain, isIPv4(plain) ? ipv4Bits : ipv6Bits) ?? plain
}

/** Without upper case; numbers of senders change from message to message (`bounce-17@`, VERP). */
function keyOf(path: SaidPath | undefined): string {
  return (path?.mailbox ?? '').toLowerCase().replaceAll(/\d+/g, '#')
}
