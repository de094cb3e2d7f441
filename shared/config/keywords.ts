/** Words of the modern grammar (6.4 to 7.8), reserved everywhere: as a name they must be quoted. */
export const modernKeywords: ReadonlySet<string> = new Set(
  [
    'action admd alias any auth auth-optional backup bounce bypass ca cert chain chroot ciphers commit compression connect',
    'data data-line dhe disconnect domain ehlo encryption expand-only fcrdns filter for forward-only from group helo helo-src',
    'host hostname hostnames include inet4 inet6 junk key limit listen lmtp local mail-from maildir mask-src masquerade match',
    'max-deferred max-message-size mbox mda mta no-dsn no-verify noop on phase pki port proc proc-exec protocols proxy-v2',
    'queue quit rcpt-to rdns received-auth regex reject relay report rewrite rset scheduler senders smtp smtp-in smtp-out',
    'smtps socket src srs sub-addr-delim table tag tagged tls tls-require ttl user userbase verify virtual warn-interval',
    'wrapper',
  ].flatMap((line) => line.split(' ')),
)

/** pipeline.conf reserves no words but `include`. */
export const pipelineKeywords: ReadonlySet<string> = new Set(['include'])

/** First words of the grammar of 5.3 to 6.0, and what to write instead. */
export const oldStatements: ReadonlyMap<string, string> = new Map([
  ['accept', 'write an `action` and a `match` that names it'],
  ['expire', 'write `queue ttl`'],
  ['bounce-warn', 'write `bounce warn-interval`'],
  ['limit', 'write `smtp limit`, `mta limit`, `mda limit` or `scheduler limit`'],
  ['max-message-size', 'write `smtp max-message-size`'],
  ['max-mta-deferred', 'write `mta max-deferred`'],
  ['subaddressing-delimiter', 'write `smtp sub-addr-delim`'],
  ['ciphers', 'write `smtp ciphers`'],
  ['set', 'drop the word `set`'],
])
