import { buildFence } from './fence.ts'

export interface CheckTask {
  readonly content: Uint8Array
  /** Of the client, as far as it is known. */
  readonly address?: string
  readonly clientName?: string
}

/** Plain data. */
export type CheckResult =
  /** More text than its patterns are fit for. */
  | { readonly kind: 'too long' }
  | {
      readonly kind: 'checked'
      readonly isTestText: boolean
      /** Points for words, sender, links and header, and what they are for. */
      readonly points: number
      readonly reasons: readonly string[]
      readonly files: readonly FoundFile[]
      /** What the fence refused. */
      readonly attempts: readonly string[]
    }

export interface FoundFile {
  readonly kind: 'executable' | 'script' | 'macro' | 'pdf script'
  readonly name: string
}

/** What we use of spamscanner 6.1.5. */
interface Scanner {
  getExecutableResults(mail: ParsedMail): Promise<readonly AttachmentHit[]>
  getMacroResults(mail: ParsedMail): Promise<readonly AttachmentHit[]>
  getArbitraryResults(
    mail: ParsedMail,
    session: { readonly remoteAddress?: string; readonly resolvedClientHostname?: string },
  ): Promise<readonly ArbitraryHit[]>
}

interface AttachmentHit {
  readonly type: string
  readonly subtype?: string
  readonly filename?: string
}

interface ArbitraryHit {
  readonly subtype: string
  readonly score: number
  readonly reasons?: readonly string[]
}

/** Of mailparser. */
interface ParsedMail {
  readonly text?: string
  readonly html?: string | false
}

type ParseMail = (content: Buffer, options: Readonly<Record<string, unknown>>) => Promise<ParsedMail>

/** Some of its patterns take a time that grows faster than the text. */
const mostText = 100_000
const mostReasons = 10
const mostFiles = 10

/** In a thread: loads spamscanner, then closes the fence around it. */
export async function open(): Promise<(task: CheckTask) => Promise<CheckResult>> {
  const fence = buildFence()
  const [scanner, parse] = await load()
  const check = async ({ content, address, clientName }: CheckTask): Promise<CheckResult> => {
    const mail = await parse(Buffer.from(content.buffer, content.byteOffset, content.byteLength), parseOptions)
    if ((mail.text ?? '').length + (mail.html || '').length > mostText) return { kind: 'too long' }
    const [executables, macros, arbitrary] = await Promise.all([
      scanner.getExecutableResults(mail),
      scanner.getMacroResults(mail),
      scanner.getArbitraryResults(mail, {
        ...(address === undefined ? {} : { remoteAddress: address }),
        ...(clientName === undefined ? {} : { resolvedClientHostname: clientName }),
      }),
    ])
    const judged = arbitrary.find(({ subtype }) => subtype !== 'gtube')
    return {
      kind: 'checked',
      isTestText: arbitrary.some(({ subtype }) => subtype === 'gtube'),
      points: judged?.score ?? 0,
      reasons: (judged?.reasons ?? []).slice(0, mostReasons),
      files: [...executables, ...macros].flatMap((hit) => fileOf(hit) ?? []).slice(0, mostFiles),
      attempts: [...fence.attempts],
    }
  }
  // What is loaded when it is first needed is needed now.
  await check({ content: specimen })
  fence.close()
  return check
}

/** By names that no type depends on: both are only there for this engine. */
async function load(): Promise<readonly [Scanner, ParseMail]> {
  const [scanning, parsing]: readonly string[] = ['spamscanner', 'mailparser']
  const { default: SpamScanner } = (await import(scanning ?? '')) as {
    readonly default: new (options: Readonly<Record<string, unknown>>) => Scanner
  }
  const { simpleParser } = (await import(parsing ?? '')) as { readonly simpleParser: ParseMail }
  // Its score is told however low it is.
  const scanner = new SpamScanner({
    enableAdvancedPatternRecognition: false,
    arbitraryThreshold: -1e9,
    logger: {},
  })
  return [scanner, simpleParser]
}

const parseOptions = {
  skipTextToHtml: true,
  skipTextLinks: true,
  skipImageLinks: true,
  maxHtmlLengthToParse: mostText,
}

const specimen = Buffer.from(
  [
    'From: "J\u00e4ne" <jane@example.org>',
    'Subject: =?iso-8859-2?q?caf=E9?=',
    'Content-Type: multipart/mixed; boundary=b',
    '',
    '--b',
    'Content-Type: text/html; charset=koi8-r',
    'Content-Transfer-Encoding: quoted-printable',
    '',
    '<p>caf=C1 <a href="http://192.0.2.1/">http://example.org/</a></p>',
    '--b',
    'Content-Type: text/plain; charset=iso-2022-jp',
    '',
    'text',
    '--b',
    'Content-Type: application/zip; name=a.zip',
    'Content-Transfer-Encoding: base64',
    '',
    'UEsDBBQAAAAIAAAAIQAAAAAAAAAAAAAAAAABAAAAYQ==',
    '--b--',
    '',
  ].join('\r\n'),
)

const kinds: Readonly<Record<string, FoundFile['kind']>> = {
  script: 'script',
  office_document: 'macro',
  pdf_javascript: 'pdf script',
}

/** Archives and documents of old programs say nothing, and what it finds in texts is found in letters of programmers. */
function fileOf({ type, subtype = '', filename }: AttachmentHit): FoundFile | undefined {
  if (filename === undefined) return undefined
  const kind = type === 'executable' ? 'executable' : kinds[subtype]
  return kind === undefined ? undefined : { kind, name: filename }
}
