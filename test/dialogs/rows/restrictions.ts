import { fixturePath } from '../../../services/inbound/restrictions/testing.ts'
import type { Mailbox } from '../../../shared/mail/address.ts'
import type { Zone } from '../../../shared/restrictions/testing.ts'
import { plain } from '../../support/smtp-client.ts'
import type { DoorRow, Site } from './row.ts'

const smtpdConf = `
table mynetworks { "192.168.1.0/24", "[2001:db8:1::/48]" }
table people { "tintin" }
table logins { "tintin" = "$5$rounds=1000$testsalt$ostqQPLN6R9T.A/s7AkCrhncjxFX7jOkMWhCh1.OUm8" }
pki mail cert "${fixturePath('../tls/server.pem')}"
pki mail key "${fixturePath('../tls/server.key')}"
listen on 127.0.0.1 port 2525 tls pki mail auth-optional <logins> tag Here
action "deliver" maildir "/mail/%{user.username}"
action "out" relay
match from any for domain "here.example" action "deliver"
match from src <mynetworks> for any action "out"
match auth from any for any action "out"
`

const restrictedZone: Zone = {
  'mx there.example': ['mx.there.example'],
  'a mail.there.example': ['203.0.113.5'],
  'ptr 203.0.113.5': ['mail.there.example'],
  'ptr 203.0.113.6': ['liar.there.example'],
  'a liar.there.example': ['203.0.113.60'],
  'mx nomail.example': [''],
  'a addressonly.example': ['203.0.113.9'],
  'mx broken.example': 'fails',
  'a broken-helo.example': 'fails',
  'a 5.113.0.203.low.example': ['127.0.0.2'],
  'a 5.113.0.203.high.example': ['127.0.0.10'],
  'txt 5.113.0.203.high.example': ['dynamic\tpool'],
  'a 5.113.0.203.good.example': ['127.0.0.2'],
  'a 5.113.0.203.silent.example': 'fails',
  'a bad.example.dbl.example': ['127.0.1.2'],
  'txt bad.example.dbl.example': ['sends spam'],
  'a mail.there.example.names.example': ['127.0.1.2'],
  'a 2.0.0.127.low.example': ['127.0.0.2'],
  [`a 1.${'0.'.repeat(23)}8.b.d.0.1.0.0.2.low.example`]: ['127.0.0.2'],
}

const trusted = '192.168.1.7'
const hello = ['EHLO mail.there.example', '250']
const mail = ['MAIL FROM:<a@there.example>', '250 2.1.0']
const mailFrom = (address: string) => [`MAIL FROM:<${address}>`, '250 2.1.0']
const begun = [hello, mail]
const here = 'RCPT TO:<tintin@here.example>'
const far = 'RCPT TO:<x@there.example>'
const taken = [here, '250 2.1.5']
const login = [`AUTH PLAIN ${plain('tintin', 'secret')}`, '235 2.7.0']

interface RestrictionRow extends Pick<DoorRow, 'row' | 'what' | 'client' | 'greeting' | 'says' | 'rejected'> {
  /** What `restrict` says, each without that word. */
  readonly lists?: readonly string[]
  readonly tls?: true
}

const accessTable =
  'table access { "there.example" = "554 Go away", "ok@there.example" = "OK", "later@there.example" = "DEFER not now", "no@there.example" = "REJECT 5.7.26 forged", "warn@there.example" = "WARN seen", "next@there.example" = "DUNNO", "odd@there.example" = "FILTER smtp:x", "post@" = "421 4.7.0 busy", "<>" = "REJECT", "203.0.113" = "450 4.7.25 network", "helo.example" = "550 name" }'

const rows: readonly RestrictionRow[] = [
  { row: 32, what: 'MAIL before HELO', says: [['MAIL FROM:<a@there.example>', '503 5.5.1']] },
  { row: 33, what: 'mynetworks may relay', client: trusted, says: [...begun, [far, '250 2.1.5']] },
  {
    row: 33,
    what: 'others may not',
    lists: ['rcpt reject unauthorised-destination'],
    says: [...begun, [far, '554 5.7.1']],
  },
  {
    row: 34,
    what: 'permit mynetworks stops the list',
    lists: ['rcpt permit from <mynetworks>', 'rcpt reject'],
    client: trusted,
    says: [...begun, taken, [far, '250 2.1.5']],
  },
  {
    row: 35,
    what: 'own addresses are permitted by the effective address, not by the one of the balancer in between',
    lists: ['connect permit own-addresses', 'connect reject'],
    says: [...begun, [here, '554 5.7.1 Access denied']],
  },
  {
    row: 35,
    what: 'own addresses are permitted',
    lists: ['connect permit own-addresses', 'connect reject'],
    client: '127.0.0.1',
    says: [...begun, taken],
  },
  {
    row: 36,
    what: 'after AUTH all relaying is allowed',
    lists: [
      'connect permit authenticated',
      'connect reject',
      'rcpt permit authenticated',
      'rcpt reject unauthorised-destination',
    ],
    tls: true,
    says: [hello, mail, [far, '554 5.7.1'], ['RSET', '250'], login, mail, [far, '250 2.1.5']],
  },
  {
    row: 37,
    what: 'listed, with a reason from TXT',
    lists: ['connect reject dnsbl "high.example"'],
    says: [
      ...begun,
      [here, '554 5.7.1 Service unavailable; Client host [203.0.113.5] blocked using high.example; dynamic?pool'],
    ],
  },
  {
    row: 37,
    what: 'only the answers that are named count',
    lists: ['connect reject dnsbl "high.example" answer { "127.0.0.2", "127.0.0.4/31" }'],
    says: [...begun, taken],
  },
  {
    row: 37,
    what: 'one of the answers that are named',
    lists: ['connect reject dnsbl "high.example" answer { "127.0.0.8/29" }'],
    says: [...begun, [here, '554 5.7.1']],
  },
  {
    row: 37,
    what: 'a list that fails refuses nobody',
    lists: ['connect reject dnsbl "silent.example"'],
    says: [...begun, taken],
  },
  {
    row: 37,
    what: 'the entry for tests of every list',
    lists: ['connect reject dnsbl "low.example"'],
    client: '127.0.0.2',
    says: [...begun, [here, '554 5.7.1']],
  },
  {
    row: 37,
    what: 'an IPv6 client',
    lists: ['connect reject dnsbl "low.example"'],
    client: '2001:db8::1',
    says: [...begun, [here, '554 5.7.1']],
  },
  {
    row: 37,
    what: 'lists with weights refuse together',
    lists: [
      'connect dnsbl "low.example" score 2',
      'connect dnsbl "high.example" score 3',
      'connect reject dnsbl-score 5',
    ],
    says: [...begun, [here, '554 5.7.1']],
  },
  {
    row: 37,
    what: 'lists with weights do not refuse alone, and one of good senders counts against them',
    lists: [
      'connect dnsbl "low.example" score 2',
      'connect dnsbl "high.example" score 3',
      'connect dnsbl "good.example" score -1',
      'connect dnsbl "silent.example" score 9',
      'connect reject dnsbl-score 5',
    ],
    says: [...begun, taken],
  },
  {
    row: 37,
    what: 'lists of domains',
    lists: ['mail reject dnsbl "dbl.example" of sender', 'helo reject dnsbl "dbl.example" of helo'],
    says: [
      hello,
      mailFrom('a@bad.example'),
      [here, '554 5.7.1 Service unavailable; Sender address [a@bad.example] blocked using dbl.example; sends spam'],
      ['HELO bad.example', '250'],
      mail,
      [here, '554 5.7.1 Service unavailable; Helo command [bad.example] blocked using dbl.example; sends spam'],
      ['HELO [192.0.2.1]', '250'],
      mailFrom(''),
      taken,
    ],
  },
  {
    row: 37,
    what: 'a list of client names',
    lists: ['connect reject dnsbl "names.example" of client'],
    says: [...begun, [here, '554 5.7.1 Service unavailable; Client host [mail.there.example]']],
  },
  {
    row: 38,
    what: 'no TLS',
    lists: ['connect reject plaintext'],
    says: [...begun, [here, '450 4.7.1']],
  },
  { row: 38, what: 'with TLS', lists: ['connect reject plaintext'], tls: true, says: [...begun, taken] },
  {
    row: 39,
    what: 'HELO and all in one packet, in the list of DATA',
    lists: ['data reject pipelining'],
    says: [[`HELO x.there.example\r\nMAIL FROM:<>\r\n${here}\r\nDATA`, '250', '250 2.1.0', '250 2.1.5', '503 5.5.0']],
  },
  {
    row: 39,
    what: 'HELO and all in one packet, in the list of clients',
    lists: ['connect reject pipelining'],
    says: [[`HELO x.there.example\r\nMAIL FROM:<>\r\n${here}\r\nDATA`, '250', '250 2.1.0', '503 5.5.0', '554 5.5.1']],
  },
  {
    row: 39,
    what: 'behind EHLO in one packet',
    lists: ['data reject pipelining'],
    says: [
      [`EHLO x.there.example\r\nMAIL FROM:<>\r\n${here}`, '250', '250 2.1.0', '250 2.1.5'],
      ['DATA', '503 5.5.0'],
    ],
  },
  {
    row: 39,
    what: 'a group as RFC 2920 allows it',
    lists: ['connect reject pipelining', 'data reject pipelining'],
    says: [hello, [`MAIL FROM:<>\r\n${here}\r\nDATA`, '250 2.1.0', '250 2.1.5', '354 ']],
  },
  { row: 40, what: 'waits', lists: ['rcpt permit from <mynetworks>', 'rcpt sleep 1s'], says: [...begun, taken] },
  {
    row: 41,
    what: 'a name that is none',
    lists: ['helo reject helo invalid'],
    says: [['HELO bad_name!', '250'], mail, [here, '501 5.5.2']],
  },
  {
    row: 41,
    what: 'an address is a name',
    lists: ['helo reject helo invalid'],
    says: [['HELO [192.0.2.1]', '250'], mail, taken, ['EHLO 192.0.2.1', '250'], mail, taken],
  },
  {
    row: 41,
    what: 'an address that is none',
    lists: ['helo reject helo invalid'],
    says: [['HELO [192.0.2.300]', '250'], mail, [here, '501 5.5.2']],
  },
  {
    row: 42,
    what: 'a name without a dot',
    lists: ['helo reject helo non-fqdn'],
    says: [['HELO nodots', '250'], mail, [here, '504 5.5.2']],
  },
  {
    row: 42,
    what: 'an address without brackets',
    lists: ['helo reject helo non-fqdn'],
    says: [['HELO 192.0.2.1', '250'], mail, [here, '504 5.5.2']],
  },
  {
    row: 43,
    what: 'a name that does not exist',
    lists: ['helo reject helo unknown'],
    says: [['HELO no.such.example', '250'], mail, [here, '450 4.7.1']],
  },
  {
    row: 43,
    what: 'a name that cannot be looked up',
    lists: ['helo reject helo unknown'],
    says: [['HELO broken-helo.example', '250'], mail, [here, '450 4.7.1']],
  },
  {
    row: 43,
    what: 'names with an address or an MX',
    lists: ['helo reject helo unknown'],
    says: [...begun, taken, ['EHLO there.example', '250'], mail, taken],
  },
  {
    row: 43,
    what: 'a client whose name and address agree',
    lists: ['connect reject client unknown'],
    says: [...begun, taken],
  },
  {
    row: 43,
    what: 'a client whose name and address do not agree',
    lists: ['connect reject client unnamed', 'connect reject client unknown'],
    client: '203.0.113.6',
    says: [...begun, [here, '450 4.7.1 <unknown[203.0.113.6]>: Client host rejected: cannot find your hostname']],
  },
  {
    row: 43,
    what: 'a client without a name',
    lists: ['connect reject client unnamed'],
    client: '203.0.113.7',
    says: [...begun, [here, '450 4.7.1']],
  },
  {
    row: 44,
    what: 'a sender without a domain',
    lists: ['mail reject sender non-fqdn'],
    says: [
      hello,
      mailFrom('tournesol'),
      [here, '504 5.5.2'],
      ['RSET', '250'],
      mailFrom('x@nodots'),
      [here, '504 5.5.2'],
    ],
  },
  {
    row: 44,
    what: 'the null reverse-path has a domain enough',
    lists: ['mail reject sender non-fqdn', 'mail reject sender unknown-domain', 'mail reject sender unlisted'],
    says: [hello, mailFrom(''), taken],
  },
  {
    row: 45,
    what: 'a domain that does not exist',
    lists: ['mail reject sender unknown-domain'],
    says: [hello, mailFrom('a@no.such.example'), [here, '450 4.1.8']],
  },
  {
    row: 45,
    what: 'a domain that cannot be looked up',
    lists: ['mail reject sender unknown-domain'],
    says: [hello, mailFrom('a@broken.example'), [here, '450 4.1.8']],
  },
  {
    row: 45,
    what: 'a domain with an address alone, an address literal, and our own domain',
    lists: ['mail reject sender unknown-domain'],
    says: [
      hello,
      mailFrom('a@addressonly.example'),
      taken,
      ['RSET', '250'],
      mailFrom('a@[192.0.2.1]'),
      taken,
      ['RSET', '250'],
      mailFrom('tintin@here.example'),
      taken,
    ],
  },
  {
    row: 45,
    what: 'a domain with a null MX (RFC 7505)',
    lists: ['mail reject sender unknown-domain'],
    says: [hello, mailFrom('a@nomail.example'), [here, '550 5.7.27']],
  },
  {
    row: 46,
    what: 'an access table of senders, with its own words',
    lists: ['mail check sender <access>', 'rcpt reject "550 5.7.0 end of the list" when sender "next@there.example"'],
    says: [
      hello,
      mailFrom('x@there.example'),
      [here, '554 5.7.1 <x@there.example>: Sender address rejected: Go away'],
      ['RSET', '250'],
      mailFrom('x@sub.there.example'),
      [here, '554 5.7.1'],
      ['RSET', '250'],
      mailFrom('ok@there.example'),
      taken,
      ['RSET', '250'],
      mailFrom('ok+detail@there.example'),
      taken,
      ['RSET', '250'],
      mailFrom('later@there.example'),
      [here, '450 4.7.1 <later@there.example>: Sender address rejected: not now'],
      ['RSET', '250'],
      mailFrom('no@there.example'),
      [here, '554 5.7.26 <no@there.example>: Sender address rejected: forged'],
      ['RSET', '250'],
      mailFrom('warn@there.example'),
      taken,
      ['RSET', '250'],
      mailFrom('next@there.example'),
      [here, '550 5.7.0 end of the list'],
      ['RSET', '250'],
      mailFrom('odd@there.example'),
      [here, '451 4.3.5'],
      ['RSET', '250'],
      mailFrom('post@elsewhere.example'),
      [here, '421 4.7.0'],
      ['RSET', '250'],
      mailFrom(''),
      [here, '554 5.7.1 <>: Sender address rejected: Access denied'],
    ],
  },
  {
    row: 46,
    what: 'access tables of clients and HELO',
    lists: ['helo check helo <access>', 'connect tag Here check client <access>'],
    client: '203.0.113.7',
    says: [
      ['HELO a.helo.example', '250'],
      mail,
      [here, '450 4.7.25 <unknown[203.0.113.7]>: Client host rejected: network'],
    ],
  },
  {
    row: 46,
    what: 'an access table of HELO',
    lists: ['helo check helo <access>'],
    says: [['HELO a.helo.example', '250'], mail, [here, '550 5.7.1 <a.helo.example>: Helo command rejected: name']],
  },
  {
    row: 46,
    what: 'an access table of recipients',
    lists: ['rcpt check recipient <access>'],
    client: trusted,
    says: [...begun, ['RCPT TO:<no@there.example>', '554 5.7.26'], ['RCPT TO:<ok@there.example>', '250 2.1.5']],
  },
  {
    row: 47,
    what: 'a forged local sender',
    lists: ['mail reject sender unlisted'],
    says: [
      hello,
      mailFrom('nobody@here.example'),
      [here, '550 5.1.0'],
      ['RSET', '250'],
      mailFrom('tintin@here.example'),
      taken,
    ],
  },
  {
    row: 48,
    what: 'a recipient without a domain',
    lists: ['rcpt reject recipient non-fqdn'],
    says: [...begun, ['RCPT TO:<tintin>', '504 5.5.2'], ['RCPT TO:<x@nodots>', '504 5.5.2'], taken],
  },
  {
    row: 49,
    what: 'a destination that is not ours',
    lists: ['rcpt reject unauthorised-destination'],
    says: [...begun, [far, '554 5.7.1'], ['RCPT TO:<nobody@here.example>', '550 5.1.1'], taken],
  },
  { row: 49, what: 'no list at all is no open relay', says: [...begun, [far, '550 5.7.1']] },
  {
    row: 49,
    what: 'a list that permits everybody is no open relay',
    lists: ['rcpt permit'],
    says: [...begun, [far, '550 5.7.1']],
  },
  {
    row: 50,
    what: 'the domain of a recipient does not exist, also for trusted clients when it is asked first',
    lists: ['rcpt reject recipient unknown-domain', 'rcpt permit from <mynetworks>'],
    client: trusted,
    says: [
      ...begun,
      ['RCPT TO:<x@no.such.example>', '450 4.1.2'],
      ['RCPT TO:<x@broken.example>', '450 4.1.2'],
      ['RCPT TO:<x@nomail.example>', '556 5.1.10'],
      [far, '250 2.1.5'],
      taken,
    ],
  },
  {
    row: 51,
    what: 'an unknown local user, also for trusted clients',
    lists: ['rcpt reject recipient unlisted', 'rcpt permit from <mynetworks>'],
    client: trusted,
    says: [...begun, ['RCPT TO:<nobody@here.example>', '550 5.1.1'], [far, '250 2.1.5']],
  },
  {
    row: 52,
    what: 'a list at DATA',
    lists: ['data permit when helo "good.there.example"', 'data reject "550 5.7.0 not you"'],
    says: [
      ...begun,
      taken,
      ['DATA', '550 5.7.0 not you'],
      ['EHLO good.there.example', '250'],
      mail,
      taken,
      ['DATA', '354 '],
    ],
  },
  {
    row: 53,
    what: 'the order decides: permit before the refusal',
    lists: ['rcpt permit authenticated', 'rcpt reject unauthorised-destination'],
    tls: true,
    says: [hello, login, mail, [far, '250 2.1.5']],
  },
  {
    row: 53,
    what: 'the order decides: the refusal before permit',
    lists: ['rcpt reject unauthorised-destination', 'rcpt permit authenticated'],
    tls: true,
    says: [hello, login, mail, [far, '554 5.7.1']],
  },
  {
    row: 46,
    what: 'access tables know a client by its verified name first',
    lists: ['connect check client <access>'],
    says: [...begun, [here, '554 5.7.1 <mail.there.example[203.0.113.5]>: Client host rejected: Go away']],
  },
  {
    row: 54,
    what: 'refusals come at RCPT',
    lists: [
      'connect reject "554 5.7.1 c" when from "203.0.113.9"',
      'helo reject "554 5.7.1 h"',
      'mail reject "554 5.7.1 m"',
    ],
    says: [...begun, [here, '554 5.7.1 h']],
  },
  {
    row: 54,
    what: 'the log has sender, recipient, and the line of the restriction',
    lists: ['helo reject helo invalid'],
    says: [['HELO bad!', '250'], mail, [here, '501 5.5.2']],
    rejected: {
      stage: 'rcpt',
      from: 'a@there.example' as Mailbox,
      to: 'tintin@here.example',
      restriction: `${fixturePath('pipeline.conf')}:3`,
    },
  },
  {
    row: 54,
    what: 'or in place of the greeting',
    lists: ['delay off', 'connect reject "554 5.7.1 c"'],
    greeting: '554 5.7.1 c',
    says: [],
  },
  {
    row: 54,
    what: 'what is temporary in place of the greeting stays so',
    lists: ['delay off', 'connect defer "450 4.7.1 c"'],
    greeting: '421 4.7.1 c',
    says: [],
  },
  {
    row: 54,
    what: 'or at HELO',
    lists: ['delay off', 'helo reject "554 5.7.1 h" when helo "bad.example"'],
    says: [['EHLO bad.example', '554 5.7.1 h'], ['MAIL FROM:<>', '503 5.5.1'], hello, mail, taken],
  },
  {
    row: 54,
    what: 'or at MAIL',
    lists: ['delay off', 'mail reject sender unknown-domain'],
    says: [hello, ['MAIL FROM:<a@no.such.example>', '450 4.1.8'], [here, '503 5.5.1'], mail, taken],
  },
]

/** Rows 32 to 54: who may talk. */
export const restrictionRows: readonly DoorRow[] = rows.map(({ lists = [], tls, ...row }) => ({
  ...row,
  site: restricted(lists),
  zone: restrictedZone,
  ...(tls === true ? { tls: 'starttls' } : {}),
  ...(row.row === 40 ? { slept: [1_000] } : {}),
}))

/** One domain, and these lists. */
function restricted(lists: readonly string[]): Site {
  return {
    smtpd: smtpdConf,
    pipeline: [accessTable, 'users from <people>', ...lists.map((list) => `restrict ${list}`)],
  }
}
