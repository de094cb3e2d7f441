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

/** Words of the old grammar as 6.0.3 reserves them. Words of 5.3 to 5.7 only are no keywords: they are known where they stand. */
export const oldKeywords: ReadonlySet<string> = new Set(
  [
    'accept alias any as auth auth-optional authenticated backup bounce-warn ca certificate ciphers compression deliver dhe',
    'domain encryption expire filter for forward-only from hostname hostnames include inet4 inet6 key limit listen lmtp local',
    'maildir mask-source masquerade max-message-size max-mta-deferred mbox mda mta no-dsn on pki port queue rcpt-to',
    'received-auth recipient reject relay scheduler sender senders session smtps socket source subaddressing-delimiter table',
    'tag tagged tls tls-require to userbase verify via virtual',
  ].flatMap((line) => line.split(' ')),
)

/** pipeline.conf reserves no words but `include`. */
export const pipelineKeywords: ReadonlySet<string> = new Set(['include'])

/** First words of the modern grammar, and what an old file writes instead. */
export const modernStatements: ReadonlyMap<string, string> = new Map([
  ['match', 'write `accept ...` or `reject ...`'],
  ['action', 'write the delivery in the rule: `accept ... deliver to` or `accept ... relay`'],
  ['smtp', 'write `max-message-size`, `ciphers`, `limit session` or `subaddressing-delimiter`'],
  ['bounce', 'write `bounce-warn`'],
  ['mta', 'write `limit mta` or `max-mta-deferred`'],
  ['mda', 'write `limit mda`'],
  ['scheduler', 'write `limit scheduler`'],
])

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
