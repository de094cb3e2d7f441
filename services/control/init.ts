import { hostname as systemName } from 'node:os'

import { isDomain } from '../../shared/mail/address.ts'
import { asciiDomain } from '../../shared/mail/ascii-domain.ts'
import { prepareSiteIdentity } from '../../shared/start/site-identity.ts'
import { UsageError, exitCodes } from './command.ts'
import type { Command, Invocation } from './command.ts'

export const init: Command = {
  words: ['init'],
  operands: [
    { name: 'FOLDER', required: true },
    { name: 'DOMAIN', required: true },
  ],
  summary:
    'make what a site needs and has not: certificate, DKIM key, first mailbox, first operator; prints the DNS records',
  run,
}

async function run({ operands, options, terminal, environment }: Invocation): Promise<number> {
  const [folder = '', domain = ''] = operands
  const site = {
    domain: nameOf(domain, 'domain'),
    hostname: nameOf(environment['SMTPD_HOSTNAME'] ?? systemName(), 'host name: set SMTPD_HOSTNAME'),
  }
  const { made, records } = await prepareSiteIdentity(folder, site)
  if (options.has('json')) {
    terminal.print(JSON.stringify({ ...site, made, records }, undefined, 2))
    return exitCodes.done
  }
  for (const line of made) terminal.print(`made: ${line}`)
  if (made.length === 0) terminal.print('all is there already')
  terminal.print(`\nPublish for ${site.domain} (sluicectl doctor ${site.domain} tells what is seen of it):`)
  for (const line of records) terminal.print(line)
  return exitCodes.done
}

function nameOf(text: string, what: string): string {
  const name = asciiDomain(text)
  if (name === undefined || !isDomain(name)) throw new UsageError(`'${text}' is not a ${what}`)
  return name
}
