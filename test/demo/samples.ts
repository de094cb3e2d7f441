import { zipOf } from '../support/archives.ts'

/** Something that somebody sends. */
export interface Sample {
  /** For the log: what it is, and what should become of it. */
  readonly what: string
  readonly from: string
  readonly to: string
  /** The password of `from`, who is a user here; absent: it comes from a server of another domain. */
  readonly password?: string
  readonly content: string
}

interface Letter {
  readonly what: string
  readonly from: string
  readonly to: string
  readonly subject: string
  readonly text: string
  readonly file?: { readonly name: string; readonly octets: Buffer }
}

const jane = 'jane@demo.example'
const joe = 'joe@demo.example'
const anna = 'anna@partner.example'
const shop = 'news@shop.example'
const gtube = 'XJS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X'
/** The test file of the antivirus industry, in two pieces: no scanner is to find it here. */
const eicar = ['X5O!P%@AP[4\\PZX54(P^)7CC)7}$EICAR', '-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*'].join('')

const notes = [
  'On Friday you wrote:',
  '> could you send me the notes of the call?',
  '',
  'Hi Jane,',
  '',
  'the notes are in the wiki. I fixed the two bugs that Tom found in the parser',
  'and the build is green again. I think we should release version 2.1 next week;',
  'the patch for the config file still needs a review. What do you think?',
  '',
  'Anna',
].join('\n')
const thanks = 'Hello,\n\nthank you, that is what I needed. See you on Thursday.\n\nJane'
const receipt = [
  'Hello Joe,',
  '',
  'your package with the two books left our store today. The tracking number is 20261121,',
  'the receipt is attached to your account.',
  '',
  'The shop',
].join('\n')
const limited = 'Dear customer,\n\nyour account was limited. Sign in within 24 hours to keep it.\n\nYour bank'

/** What comes, in turn. */
const kinds: readonly ((round: number) => Letter & { readonly password?: string })[] = [
  (n) => ({ what: 'a letter for the inbox', from: anna, to: jane, subject: `Notes ${n}`, text: notes }),
  (n) => sent({ what: 'to a server that takes it', to: anna, subject: `Re: Notes ${n}`, text: thanks }),
  (n) => ({ what: 'spam, for Junk', from: shop, to: jane, subject: `You have won ${n}`, text: gtube }),
  () => ({ what: 'to nobody here, refused', from: anna, to: 'nobody@demo.example', subject: 'Hello', text: thanks }),
  (n) =>
    sent({
      what: 'to a server that greylists',
      to: `ben${n % 1000}@cautious.example`,
      subject: 'Slides',
      text: thanks,
    }),
  (n) => ({ what: 'a shop, for the inbox', from: shop, to: joe, subject: `Order ${n}`, text: receipt }),
  () =>
    sent({ what: 'to a server that refuses it', to: 'ghost@strict.example', subject: 'Are you there?', text: thanks }),
  (n) => ({
    what: 'a virus test file, kept back',
    from: shop,
    to: jane,
    subject: `Your invoice ${n}`,
    text: receipt,
    file: { name: 'invoice.zip', octets: zipOf([{ name: 'eicar.com', octets: Buffer.from(eicar) }]) },
  }),
  (n) => sent({ what: 'to a slow server', to: 'carl@slow.example', subject: `Draft ${n}`, text: thanks }),
  (n) => ({ what: 'a forged sender', from: 'security@bank.example', to: joe, subject: `Account ${n}`, text: limited }),
  () => ({
    what: 'a stranger relays, refused',
    from: shop,
    to: 'victim@partner.example',
    subject: 'Hi',
    text: receipt,
  }),
  (n) => sent({ what: 'between users here', to: joe, subject: `Lunch ${n}?`, text: thanks }),
  () => ({ ...sent({ what: 'a wrong password, refused', to: anna, subject: 'Hi', text: thanks }), password: 'guess' }),
]

/** How many there are before they come again. */
export const sampleKinds = kinds.length

/** @param number from 0; each has a Message-ID of its own, within one millisecond too */
export function sampleAt(number: number, nowAt: number): Sample {
  const kind = kinds[number % kinds.length]
  if (kind === undefined) throw new RangeError(`${number} is no number of a sample`)
  const letter = kind(Math.floor(number / kinds.length) + 1)
  const { what, from, to, password } = letter
  return { what, from, to, ...(password === undefined ? {} : { password }), content: write(letter, number, nowAt) }
}

function sent(letter: Omit<Letter, 'from'>): Letter & { readonly password: string } {
  return { ...letter, from: jane, password: 'demo' }
}

function write({ from, to, subject, text, file }: Letter, number: number, nowAt: number): string {
  const domain = from.slice(from.indexOf('@') + 1)
  const header = [
    `From: <${from}>`,
    `To: <${to}>`,
    `Subject: ${subject}`,
    `Date: ${new Date(nowAt).toUTCString().replace('GMT', '+0000')}`,
    `Message-ID: <${number}.${nowAt}@${domain}>`,
    'MIME-Version: 1.0',
  ]
  const body = file === undefined ? ['Content-Type: text/plain; charset=utf-8', '', text] : parts(text, file)
  return `${[...header, ...body].join('\n').replaceAll('\n', '\r\n')}\r\n`
}

function parts(text: string, { name, octets }: NonNullable<Letter['file']>): readonly string[] {
  const boundary = '=_sample'
  return [
    `Content-Type: multipart/mixed; boundary="${boundary}"`,
    '',
    `--${boundary}`,
    'Content-Type: text/plain; charset=utf-8',
    '',
    text,
    `--${boundary}`,
    `Content-Type: application/octet-stream; name="${name}"`,
    `Content-Disposition: attachment; filename="${name}"`,
    'Content-Transfer-Encoding: base64',
    '',
    octets.toString('base64').replaceAll(/.{76}/g, '$&\n'),
    `--${boundary}--`,
  ]
}
