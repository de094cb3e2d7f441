import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'

import { loadConfiguration } from './load.ts'
import { parseJsonModel } from './json-model.ts'
import { schemaFault, type Schema } from './json-schema.ts'
import { toJson, type Json } from './to-json.ts'

const schema = JSON.parse(
  readFileSync(new URL('../../docs/configuration.schema.json', import.meta.url), 'utf8'),
) as Schema
const folder = mkdtempSync(join(tmpdir(), 'schema-'))
after(() => rmSync(folder, { recursive: true }))
for (const name of ['c', 'k', 'dkim']) writeFileSync(join(folder, name), 'x')
writeFileSync(join(folder, 'users'), 'joe $2b$10$secret\n')
writeFileSync(join(folder, 'password'), 'secret\n')
writeFileSync(join(folder, 'networks'), '10.0.0.0/8 OK\n')
writeFileSync(join(folder, 'redis.conf'), 'password secret\nquery GET %s\n')

const files: Readonly<Record<string, readonly [smtpd: string, pipeline: string]>> = {
  'an old file': [
    [
      'pki x certificate "c" key "k"',
      'table t { l = "u:p" }',
      'listen on eth0 secure pki x auth-optional mask-source hostname x.org inet4',
      'limit mta for domain a.org inet6 max-conn-per-host 2',
      'accept tagged A from source 10.0.0.0/8 for local alias <t> deliver to maildir',
      'accept authenticated for any relay via tls+auth://l@h auth <t> expire 1h',
      'accept sender "@a.org" for any relay backup tls verify',
      'reject for domain { a.org, b.org }',
    ].join('\n'),
    '',
  ],
  'a modern file': [
    [
      'pki x cert "c" key "k" dhe auto',
      'ca y cert "c"',
      'table u file:./users',
      'table m { "a" = "b@c.org" }',
      'table r { "a.org" = "smtp://mx.a.org" }',
      'filter f phase rcpt-to match rcpt-to regex "x" reject "550 no"',
      'smtp ciphers "HIGH"',
      'srs key "x"',
      'srs key backup "y"',
      'srs ttl 2d',
      'queue compression',
      'queue encryption "0123456789abcdef0123456789abcdef"',
      'listen on socket tag S mask-src',
      'listen on 10.0.0.1 port 587 tls-require verify pki x ca y auth <u> senders <m> masquerade hostnames <m> tag T protocols "TLSv1.3" ciphers secure',
      'action "a" lmtp "h:24" rcpt-to virtual <m> ttl 1d',
      'action "b" relay domain <r> helo-src <m> src 10.0.0.1 mail-from "a@b.c" protocols "TLSv1.3" pki x ca y srs',
      'action "c" expand-only alias <m>',
      'match from rdns regex "x" for rcpt-to "a" action "a"',
      'match from auth <u> for any tls helo h action "b"',
      'match !from src 10.0.0.0/8 for domain a.org action "c"',
    ].join('\n'),
    '',
  ],
  'a file with a full pipeline.conf': [
    'mda wrapper w "nice %{mda}"\naction "m" mda "/bin/x" wrapper w\naction "a" relay host "queue://scan"\nmatch for any action "a"\nmatch tag Scanned for any reject\nfilter "r" proc-exec "x" user "_r" chroot "/j"\nlisten on 127.0.0.1 filter "r"\n',
    [
      'redis "redis+sentinel://h:26379/m" password file "password" sentinel password file "password" prefix "m"',
      'spool "spool" quota 1G compression key file "dkim"',
      'queue "scan" tag Scanned concurrency 2 timeout 5s target 2m on-failure proceed',
      'dkim default same-domain selector s key "dkim"',
      'quarantine keep 30d digest every 1d at "07:00" to recipients',
      'received-reports keep 90d mail discard',
      'events keep 90d 2G store postgresql "postgres://a@h/m" password file "password" tls ca "dkim"',
      'replay keep 7d 20G',
      'banned files "*.exe" found tag',
      'banned for tag Mine files any macros pass encrypted quarantine',
      'banned limits depth 3 files 10 unpacked 1M',
      'virus clamd "[::1]:3310"',
      'virus for tag Mine infected reject',
      'engines for tag Mine virus builtin',
      'notify "root@a.org" of virus, spam for tag Mine limit 5/1h',
      'notify senders of bad-header limit 2/1d',
      'webhook "https://a.org/x" events delivered may-repeat secret file "password"',
      'engines for src { 10.0.0.0/8 } none',
      'spam quarantine 10',
      'spam engine rspamd "http://h:1" engine spamassassin "/run/spamd" engine builtin engine spamscanner',
      'spam for tag Mine junk never discard 3',
      'spam for domain a.org subject "x"',
      'spam for recipient "joe@a.org" junk 3',
      'spam clean { 10.0.0.0/8 } bypass',
      'spam clean tag Mine bypass',
      'spam blocked rcpt-to "trap@a.org"',
      'auth-results verify spf dkim arc min-key-bits 2048 trust-arc { "lists.example" }',
      'arc seal domain a.org selector s key "dkim"',
      'login from { joe = "x" }, dovecot "dovecot:12345", dovecot "/run/dovecot/auth-client", http "https://a.org/x" secret file "password", oauth introspect "https://a.org/i" client "me" secret file "password" user field "email" scope "mail"',
      `dashboard listen "0.0.0.0:1" auth { joe = "reader:$5$abcdefgh$ZLdkj8mkc2XVSrPVjskDAgZPGjtj1VGVaa1aUkrMTU/" } tokens { ci = "read:${'0'.repeat(64)}" } url "https://a.org/x/"`,
      'limit connections 100 per client 10 per network 20 except { 10.0.0.0/8 } data-rate 1K after 30s',
      'limit on 127.0.0.1 errors 3 line 1K header 64K message 10M idle 30s',
      'lane default back-off 10s to 1h',
      'lane "a.org" rate 100/1m messages rate 500/1m recipients back-off off',
      'rate client 100/1h messages except { 10.0.0.0/8 }',
      'rate on 127.0.0.1 user 500/1d recipients',
      'ban after 10 auth-failures in 10m for 1h except { 10.0.0.0/8 }',
      'greeting wait off',
      'client-hello wait 2s',
      'banner on 127.0.0.1 "%{hostname} ESMTP"',
      'helo required off',
      'vrfy off',
      'relay eight-bit return',
      'dkim seven-bit on',
      'bare-line-ends reject',
      'header match on 127.0.0.1 "^X:" prepend "Y: z"',
      'header match "^Y:" redirect "a@b.org"',
      'header match "^Z:" hold',
      'header match "^X:" reject',
      'mime-header match "^X:" replace "X: y"',
      'nested-header match on 127.0.0.1 "^X:" ignore',
      'body match "x" replace "y"',
      'body match on 127.0.0.1 "x" reject',
      'body limit 100K',
      'restrict delay off',
      'restrict connect on "127.0.0.1:25" permit from 10.0.0.0/8',
      'restrict helo on 127.0.0.1 reject helo unknown',
      'restrict mail check sender { "a@b.c" = "REJECT" }',
      'restrict rcpt dnsbl "a.example" answer { "127.0.0.2" } score 2.5',
      'restrict rcpt reject dnsbl "b.example" of sender',
      'restrict rcpt reject dnsbl-score 5',
      'restrict rcpt defer "450 later" when sender "a@b.c"',
      'client-certificate on 127.0.0.1 ask',
      'restrict data permit certificate verified',
      `restrict rcpt check certificate { "${'AB'.repeat(32)}" = "OK" }`,
      'restrict data permit certificate name { "*.example.org" }',
      `restrict data reject when certificate fingerprint { "${'AB'.repeat(32)}" }`,
      'restrict data sleep 1s',
      'restrict rcpt defer greylist delay 1m network 32 56 except spf',
      'auth mechanisms plain scram-sha-256 xoauth2',
      'auth without-tls on',
      'acme directory "https://ca.org/d" email "a@b.c" domains "x.org" certificate "c" key "k" http "0.0.0.0:80"',
      'users from { joe } passwd "password" verify-mailbox',
      'canonical sender { joe = "j@a.org" } headers for any',
      'canonical both { joe = "j@a.org" }',
      'masquerade domains "!b.a.org" "a.org" except users { root }',
      'append-domain "a.org"',
      'quota status "dovecot:12340" timeout 2s on-failure tempfail',
      'complete-addresses off',
      'relocated { joe = "joe@a.org" }',
      'filter protocol "r" "0.6"',
      'mbox "/var/mail"',
      'mda enable',
      'table n cidr:./networks',
      'table s static:secret',
      'table e environ:MAIL_',
      'table h hash:./users',
      'table q redis:./redis.conf',
      'table k socketmap:unix:/run/map:virt',
      'table d dovecot:127.0.0.1:2000',
      'table w "https://a.local/%s"',
      'forward files "/home"',
      'external "smtp://localhost:10024" is "amavis:10024"',
      'trusted proxy 10.0.0.0/8',
      'trusted client 10.0.0.0/8',
      'trusted filter 127.0.0.1',
      'smtputf8 off',
      'future-release max 7d',
      'etrn from { 10.0.0.0/8 }',
      'expn from { 10.0.0.0/8 }',
      'filter before-accept on 127.0.0.1 deadline 8s',
      'filter timeout "r" 20s on-failure proceed',
      'spam report-safe on',
      'spam list client "a.example" answer { "127.0.0.2" } score 2',
      'spam list links "b.example"',
      'spam blocked { 10.0.0.0/8 }',
      'spam blocked mail-from "a@b.org"',
      'spam blocked tag Mine',
      'resolver "127.0.0.1" validating',
      'dane opportunistic',
      'mta-sts testing port 8443',
      'tls minimum TLSv1.1',
      'tls ca "c"',
      'relay port 2525',
      'bounces limit address 20/1h',
      'bounces limit domain off',
      'mailbox full temporary for 2d',
      'metrics listen "127.0.0.1:9100"',
      'log level debug',
      'hostname "mx.a.org"',
      'interface lo is "10.77.0.0/24"',
      'socket "/run/lmtp" is "dovecot:24"',
    ].join('\n'),
  ],
}

for (const [what, [smtpd, pipeline]] of Object.entries(files)) {
  test(`the published schema describes what is printed of ${what}`, async () => {
    const paths = { smtpdConf: join(folder, 'smtpd.conf'), pipelineConf: join(folder, 'pipeline.conf') }
    writeFileSync(paths.smtpdConf, smtpd)
    writeFileSync(paths.pipelineConf, pipeline)
    const { configuration } = await loadConfiguration({ ...paths, hostname: 'mail.example.org' })
    const printed = JSON.parse(JSON.stringify(toJson(configuration))) as Json
    assert.equal(schemaFault(printed, schema, 'configuration'), undefined)
    const filled = JSON.stringify(printed)
      .replaceAll('"entries":"hidden"', '"list":["x"]')
      .replaceAll(/"(key|backupKey|value)":"hidden"/g, '"$1":"0123456789abcdef0123456789abcdef"')
    const revived = parseJsonModel(filled)
    assert.deepEqual(JSON.parse(JSON.stringify(toJson(revived))), printed, 'read back it is the same')
    assert.ok(revived.actions instanceof Map && revived.pipeline.queues instanceof Map)
    assert.match(schemaFault({ ...(printed as object), rules: 5 }, schema, 'configuration') ?? '', /rules is no array/)
  })
}
