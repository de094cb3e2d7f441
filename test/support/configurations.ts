import { readFileSync } from 'node:fs'

import { fixture } from './fixtures.ts'

/** Passwords of the accounts in `standardConf`, hashed there by bcrypt (jane) and SHA-512 crypt (joe). */
export const passwords = { jane: 'secret-jane', joe: 'secret-joe' } as const

const janeHash = '$2b$06$Kzj8ua.gYUfzgaXwtiyrVODPTdSxMaSCsUClHve2W3fqia1OAAhmi'
const joeHash = '$6$sluicetest$E.NOmAGW08yHCFRGemQuvnUtuYnLnnJExoG1USku5XgvKUSzMwLWtj/YEbHvAHcEJRKf3mkIUf.IGV.BHRoDd1'

export interface StandardChoices {
  /** What follows `action "deliver"`; a Maildir of each user below the data folder unless told otherwise. */
  readonly deliver?: string
  /** What follows `action "remote"`; `relay` by MX unless told otherwise. */
  readonly remote?: string
  /** More statements, before the rules. */
  readonly more?: string
}

/**
 * smtpd.conf of a small site: local domain sluice.test with jane, joe, bob and postmaster; strangers' mail goes through the queue
 * filter, authenticated mail through the queue sign; reports of our own leave too.
 */
export function standardConf(choices: StandardChoices = {}): string {
  const {
    deliver = 'maildir "{{data}}/mail/%{user.username}" userbase <people>',
    remote = 'relay',
    more = '',
  } = choices
  return `pki "mx.sluice.test" cert "{{fixtures}}/tls/server.pem" key "{{fixtures}}/tls/server.key"
table accounts { "jane" = "${janeHash}", "joe" = "${joeHash}" }
table domains { "sluice.test", "mx.sluice.test" }
table people { "jane" = "1000:1000:/home/jane", "joe" = "1001:1001:/home/joe", "bob" = "1002:1002:/home/bob", "postmaster" = "1003:1003:/home/postmaster" }
${more}
listen on 127.0.0.1 port {{smtp}} tls pki "mx.sluice.test" hostname "mx.sluice.test"
listen on 127.0.0.1 port {{submission}} tls-require pki "mx.sluice.test" auth <accounts> hostname "mx.sluice.test"
listen on 127.0.0.1 port {{smtps}} smtps pki "mx.sluice.test" auth <accounts> hostname "mx.sluice.test"

action "scan" relay host "queue://filter"
action "sign" relay host "queue://sign"
action "deliver" ${deliver}
action "remote" ${remote}

match tag Filtered from any for domain <domains> action "deliver"
match tag Signed from any for any action "remote"
match from any for domain <domains> action "scan"
match from auth for any action "sign"
match from socket for any action "sign"
`
}

/** pipeline.conf beside it; `more` for a resolver and what else a test needs. */
export function standardPipeline(more = ''): string {
  return `queue "filter" tag Filtered
queue "sign" tag Signed
dkim domain "sluice.test" selector "test" key "{{fixtures}}/dkim/rsa.key"
${more}
`
}

/** The DKIM key record of `standardPipeline`, by name. */
export function dkimRecords(): Readonly<Record<string, string>> {
  const key = readFileSync(fixture('dkim/rsa.pub'), 'utf8').trim()
  return { 'test._domainkey.sluice.test': `v=DKIM1; k=rsa; p=${key}` }
}

/** Lines of pipeline.conf: ask this resolver, and find remote MTAs on this port instead of 25. */
export function remoteWorld(resolver: string, relayPort: number): string {
  return `resolver "${resolver}"\nrelay port ${relayPort}\n`
}
