import { readFile } from 'node:fs/promises'
import { hostname as systemName } from 'node:os'

import { isDomain } from '../../shared/mail/address.ts'
import { asciiDomain } from '../../shared/mail/ascii-domain.ts'
import { prepareSiteIdentity } from '../../shared/start/site-identity.ts'
import { ControlError, UsageError, exitCodes } from './command.ts'
import type { Command, Invocation } from './command.ts'

export const init: Command = {
  words: ['init'],
  operands: [
    { name: 'FOLDER', required: true },
    { name: 'DOMAIN', required: true },
  ],
  summary:
    'make what a site needs and has not: certificate, DKIM key, first mailbox, first operator; prints the DNS records, and at a terminal the new passwords, once',
  run,
}

async function run({ operands, options, terminal, environment }: Invocation): Promise<number> {
  const [folder = '', domain = ''] = operands
  const site = {
    domain: nameOf(domain, 'domain'),
    hostname: nameOf(environment['SMTPD_HOSTNAME'] ?? systemName(), 'host name: set SMTPD_HOSTNAME'),
  }
  const told = terminal.isWatched && !options.has('json')
  const chosen = await chosenPasswords(environment)
  const { made, passwords, records } = await prepareSiteIdentity(folder, site, { chosen, told })
  if (options.has('json')) {
    terminal.print(JSON.stringify({ ...site, made, records }, undefined, 2))
    return exitCodes.done
  }
  for (const line of made) terminal.print(`made: ${line}`)
  if (made.length === 0) terminal.print('all is there already')
  if (passwords.length > 0) terminal.print('\nNew passwords. They are shown this once, and written down nowhere:')
  for (const { account, password } of passwords) terminal.print(`  ${account}  ${terminal.paint('bold', password)}`)
  terminal.print(`\nPublish for ${site.domain} (sluicectl doctor ${site.domain} tells what is seen of it):`)
  for (const line of records) terminal.print(line)
  return exitCodes.done
}

/** Of the files that the environment names; an empty one chooses nothing. */
async function chosenPasswords(environment: NodeJS.ProcessEnv) {
  const [admin, mailbox, redis] = await Promise.all(
    ['ADMIN_PASSWORD_FILE', 'MAILBOX_PASSWORD_FILE', 'REDIS_PASSWORD_FILE'].map((name) => secretOf(name, environment)),
  )
  return {
    ...(admin === undefined ? {} : { admin }),
    ...(mailbox === undefined ? {} : { mailbox }),
    ...(redis === undefined ? {} : { redis }),
  }
}

async function secretOf(name: string, environment: NodeJS.ProcessEnv): Promise<string | undefined> {
  const file = environment[name]
  if (file === undefined || file === '') return undefined
  const text = await readFile(file, 'utf8').catch((error: unknown) => {
    throw new ControlError(`${name}: ${(error as Error).message}`, exitCodes.failed, { cause: error })
  })
  const secret = text.trim()
  if (/\s/.test(secret)) throw new ControlError(`${name}: a password here is one word on one line`)
  return secret === '' ? undefined : secret
}

function nameOf(text: string, what: string): string {
  const name = asciiDomain(text)
  if (name === undefined || !isDomain(name)) throw new UsageError(`'${text}' is not a ${what}`)
  return name
}
