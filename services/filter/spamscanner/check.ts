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

/** In a thread: loads spamscanner, or what a test has in its place, then closes the fence around it. */
export async function open(loadCode: typeof load = load): Promise<(task: CheckTask) => Promise<CheckResult>> {
  const fence = buildFence()
  const [scanner, parse] = await loadCode()
  const check = async ({ content, address, clientName }: CheckTask): Promise<CheckResult> => {
    const mail = await parseShort(parse, Buffer.from(content.buffer, content.byteOffset, content.byteLength))
    if (mail === undefined) return { kind: 'too long' }
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
      attempts: fence.takeAttempts(),
    }
  }
  // What is loaded when it is first needed is needed now.
  for (const charset of charsets) await check({ content: specimen(charset) })
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

/** Undefined when there is too much text. */
async function parseShort(parse: ParseMail, content: Buffer): Promise<ParsedMail | undefined> {
  try {
    const mail = await parse(content, parseOptions)
    return (mail.text ?? '').length + (mail.html || '').length > mostText ? undefined : mail
  } catch (error) {
    if ((error as Error).message.startsWith('HTML too long')) return undefined
    throw error
  }
}

/** One for each table and decoder of iconv-lite. */
const charsets =
  'utf-8 iso-8859-2 shift_jis euc-jp iso-2022-jp gb2312 gbk gb18030 euc-kr cp949 big5 cp950 big5-hkscs utf-7 utf-16 utf-32 x-unknown'.split(
    ' ',
  )

/** Text, markup, names and an attachment, all of it in this charset. */
function specimen(charset: string): Buffer {
  const word = `=?${charset}?q?caf=C1=A1?=`
  const part = (type: string, body: string): string =>
    `--b\r\nContent-Type: ${type}\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n${body}\r\n`
  return Buffer.from(
    [
      `From: "${word}" <jane@example.org>\r\nSubject: ${word}\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n`,
      part(`text/html; charset=${charset}`, '<p>caf=C1=A1 <a href=3D"http://192.0.2.1/">http://example.org/</a></p>'),
      part(`text/plain; charset=${charset}; format=flowed`, 'caf=C1=A1 '),
      part(`application/zip; name="${word}.zip"`, 'PK=03=04=14=00=00=00=08=00=00=00'),
      part('message/rfc822', `Subject: ${word}\r\n\r\ntext`),
      '--b--\r\n',
    ].join(''),
  )
}

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
