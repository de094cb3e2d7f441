import type { ElsewhereRow } from './row.ts'

const lints = 'shared/config/lints.test.ts'
const restrictions = 'shared/config/restriction-faults.test.ts'

/** Rows, or parts of them, that the session does not decide. */
export const elsewhereRows: readonly ElsewhereRow[] = [
  {
    row: 1,
    what: 'check says that nothing listens on port 25',
    shownBy: [lints, 'nothing listens on port 25'],
  },
  {
    row: 9,
    what: 'listen addresses of both families',
    shownBy: ['services/inbound/bind-addresses.test.ts', 'listen on means the addresses'],
  },
  {
    row: 11,
    what: 'words without effect are taken, and told',
    shownBy: ['shared/config/modern-grammar.test.ts', 'what is read and has no effect yet is told'],
  },
  {
    row: 13,
    what: 'port 465 with tls-require is named by check',
    shownBy: [lints, 'port 465 with tls-require'],
  },
  {
    row: 15,
    what: 'the listeners behind the content filters',
    shownBy: ['test/scenarios/seed.test.ts', 'mail is filtered once'],
  },
  {
    row: 17,
    what: 'pki: the certificate by the name asked for',
    shownBy: ['services/inbound/open-inbound.test.ts', 'the certificate is chosen by the name asked for'],
  },
  {
    row: 18,
    what: 'certificate and key of a listener, read again when they change',
    shownBy: ['services/inbound/open-inbound.test.ts', 'a renewed certificate counts'],
  },
  {
    row: 19,
    what: 'finite-field Diffie-Hellman when asked for',
    shownBy: ['services/inbound/open-inbound.test.ts', 'protocols, ciphers and dhe of a listener count'],
  },
  {
    row: 21,
    what: 'versions of TLS',
    shownBy: ['services/inbound/open-inbound.test.ts', 'TLS below the minimum is refused'],
  },
  {
    row: 21,
    what: 'older ones where they are written',
    shownBy: ['services/inbound/open-inbound.test.ts', 'TLS 1.1 is spoken where it is written'],
  },
  {
    row: 24,
    what: 'one line for a handshake',
    shownBy: ['services/inbound/tls-session.test.ts', 'a handshake is told in one line'],
  },
  {
    row: 25,
    what: 'sessions of TLS are resumed',
    shownBy: ['services/inbound/tls-session.test.ts', 'a client goes on with its session'],
  },
  {
    row: 26,
    what: 'TLS on the way out where it is offered',
    shownBy: ['shared/smtp-client/connection.test.ts', 'STARTTLS is used when offered'],
  },
  {
    row: 27,
    what: 'what cannot shake hands gets plain text where TLS is not demanded',
    shownBy: ['shared/smtp-client/connection.test.ts', 'a handshake that breaks means plain text'],
  },
  {
    row: 27,
    what: 'and waits where it is',
    shownBy: ['shared/smtp-client/connection.test.ts', 'TLS that is demanded and not offered means later'],
  },
  {
    row: 28,
    what: 'an offer of STARTTLS that was not used is noted',
    shownBy: ['services/relay/relay.test.ts', 'an offer of STARTTLS that is not used'],
  },
  {
    row: 29,
    what: 'the order of the server wins',
    shownBy: ['services/inbound/open-inbound.test.ts', 'protocols, ciphers and dhe of a listener count'],
  },
  {
    row: 30,
    what: 'a first start has a certificate of its own making',
    shownBy: ['shared/start/self-signed.test.ts', 'a first start makes a certificate'],
  },
  {
    row: 30,
    what: 'and check says that nobody believes it',
    shownBy: [lints, 'a certificate that nobody believes'],
  },
  {
    row: 46,
    what: 'a changed access table needs no restart',
    shownBy: ['shared/restrictions/evaluate.test.ts', 'a changed access table holds without a restart'],
  },
  {
    row: 49,
    what: 'no open relay, with any configuration that loads: the test at the start',
    shownBy: ['services/inbound/guard-doors.test.ts', 'an open relay does not start'],
  },
  {
    row: 57,
    what: 'relayhost, with credentials',
    shownBy: ['services/relay/relay.test.ts', 'smarthosts are used in turn'],
  },
  {
    row: 60,
    what: 'a full mailbox, at RCPT',
    shownBy: ['test/scenarios/rewriting.test.ts', 'quota status: Dovecot says at RCPT'],
  },
  {
    row: 61,
    what: 'Maildir: tmp, then new',
    shownBy: ['services/delivery/maildir.test.ts', 'a message lands in new'],
  },
  {
    row: 62,
    what: 'mbox: From lines, locked',
    shownBy: ['services/delivery/mbox.test.ts', 'messages stand one behind the other'],
  },
  {
    row: 62,
    what: 'a folder that may not be written to',
    shownBy: ['services/delivery/maildir.test.ts', 'a folder we may not write to'],
  },
  {
    row: 63,
    what: 'a command in place of a mailbox',
    shownBy: ['test/scenarios/local-delivery.test.ts', 'the exit code of a delivery agent'],
  },
  {
    row: 64,
    what: 'the extension as an argument',
    shownBy: ['test/scenarios/local-delivery.test.ts', 'a delivery agent gets the extension'],
  },
  {
    row: 65,
    what: 'aliases: edits hold without newaliases',
    shownBy: ['shared/config/tables.test.ts', 'a changed file is in force within a second'],
  },
  {
    row: 67,
    what: 'who is listed and has no mailbox is refused where it is asked for',
    shownBy: ['shared/routing/known-user.test.ts', 'verify-mailbox refuses'],
  },
  {
    row: 67,
    what: 'and check warns where it is not',
    shownBy: ['shared/config/pipeline-users.test.ts', 'users come from one source'],
  },
  {
    row: 68,
    what: 'a bounce goes to the rewritten sender',
    shownBy: ['test/scenarios/rewriting.test.ts', 'a bounce goes to the rewritten sender'],
  },
  {
    row: 71,
    what: 'a loop ends although Received is removed',
    shownBy: ['services/inbound/header-checks.test.ts', 'a loop ends although'],
  },
  {
    row: 71,
    what: 'HOLD, DISCARD and REDIRECT',
    shownBy: ['services/inbound/header-checks.test.ts', 'hold and discard take the message'],
  },
  {
    row: 72,
    what: 'a table that is gone while mail flows',
    shownBy: ['shared/config/tables.test.ts', 'a file that cannot be read at all'],
  },
  {
    row: 72,
    what: 'what mail would find in a table, as postmap -q',
    shownBy: ['services/control/table.test.ts', 'table query says what mail would find'],
  },
  {
    row: 73,
    what: 'postconf: values with their place, defaults, what differs, types of tables',
    shownBy: ['services/control/setting.test.ts', 'config get tells values'],
  },
  {
    row: 74,
    what: 'open sessions keep the rules they began with',
    shownBy: ['test/scenarios/reload.test.ts', 'an edited file counts for new sessions'],
  },
  {
    row: 75,
    what: 'lines that go on',
    shownBy: ['shared/config/lexer.test.ts', 'a backslash at the end of a line'],
  },
  {
    row: 75,
    what: 'settings that are stated twice',
    shownBy: [lints, 'a setting that counts once'],
  },
  {
    row: 76,
    what: 'the types of maps, each asked',
    shownBy: ['shared/config/table-grammar.test.ts', 'the map types of Postfix are tables'],
  },
  {
    row: 79,
    what: 'logins by Dovecot, by socket and TCP',
    shownBy: ['test/scenarios/login.test.ts', 'logins are asked of Dovecot by TCP and by socket'],
  },
  {
    row: 82,
    what: 'LMTP to any server',
    shownBy: ['test/scenarios/lmtp.test.ts', 'LMTP answers for each recipient'],
  },
  {
    row: 82,
    what: 'who lets a user in',
    shownBy: ['services/control/try-login.test.ts', 'auth test says who lets a user in'],
  },
  {
    row: 83,
    what: 'POP3, IMAP and ManageSieve are Dovecot, in the compose file',
    shownBy: { issue: '8: docker compose up: the whole host' },
  },
  {
    row: 84,
    what: 'the looks at a domain from outside',
    shownBy: ['test/scenarios/doctor.test.ts', 'the doctor tells how the world sees a domain'],
  },
]

/** The faults inside the seeds (A.4 of the same list) that `check` names, each by the test that shows it. */
export const seedFaults: readonly ElsewhereRow[] = [
  { row: 1, what: 'a certificate under another ending', shownBy: [lints, 'a certificate under another ending'] },
  { row: 2, what: '465 with tls-require is STARTTLS', shownBy: [lints, 'port 465 with tls-require'] },
  { row: 3, what: 'a rule order that loops', shownBy: [lints, 'a rule order that loops'] },
  { row: 4, what: 'postmap for a table of patterns', shownBy: [lints, 'a table of patterns needs no postmap'] },
  { row: 5, what: 'a mailbox setting without effect', shownBy: [lints, 'a folder of mailboxes that no action'] },
  { row: 6, what: 'a setting that is stated twice', shownBy: [lints, 'a setting that counts once'] },
  { row: 7, what: 'pipelining outside the list of data', shownBy: [restrictions, 'reject pipelining'] },
  { row: 8, what: 'TLS 1.0 and 1.1', shownBy: [lints, 'old versions of TLS are named'] },
  { row: 8, what: 'a pair that is signed by itself', shownBy: [lints, 'a certificate that nobody believes'] },
  { row: 9, what: 'AUTH without TLS', shownBy: [lints, 'passwords in clear are named'] },
  { row: 10, what: 'DNS has a say about trusted clients', shownBy: [restrictions, 'restriction-order'] },
  { row: 11, what: 'users without a mailbox', shownBy: ['shared/config/pipeline-users.test.ts', "'backscatter'"] },
  { row: 12, what: 'delivery for any domain', shownBy: [lints, 'delivering mail for any domain'] },
  { row: 13, what: 'a socket that everybody may write to', shownBy: [lints, 'a socket that everybody may write to'] },
  { row: 14, what: 'a score that good mail reaches', shownBy: [lints, 'a score that good mail reaches'] },
  { row: 15, what: 'no-break spaces', shownBy: [lints, 'no-break spaces of text'] },
]
