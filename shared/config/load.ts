import { createHash } from 'node:crypto'
import { accessSync, constants, readdirSync } from 'node:fs'
import { basename, dirname, resolve } from 'node:path'

import { isDomain } from '../mail/address.ts'
import { atRestFaults, completeAtRest } from './at-rest.ts'
import { checkConfiguration } from './check.ts'
import { deepFreeze } from './deep-freeze.ts'
import { closest, ConfigurationError, fileSpan, type Diagnostic, type Span } from './diagnostic.ts'
import { grammarOfFile } from './grammar-choice.ts'
import { findHostname } from './hostname.ts'
import { modernKeywords, oldKeywords, pipelineKeywords } from './keywords.ts'
import { isJsonModel, JsonModelError, namedFiles, parseJsonModel } from './json-model.ts'
import { Lexer, type ReadText } from './lexer.ts'
import { parseModern } from './modern-grammar.ts'
import type { Configuration } from './model.ts'
import { parseOld } from './old-grammar.ts'
import { readConfigurationFile, readTableFile } from './read-file.ts'
import { parsePipeline, type PipelineDraft } from './pipeline-grammar.ts'
import { completePkis, completeSrs, type NamedFile, type PolicyDraft } from './policy-draft.ts'
import { withReturnTags } from './return-tags.ts'
import { TokenReader } from './token-reader.ts'

export { ConfigurationError } from './diagnostic.ts'

export interface LoadOptions {
  readonly smtpdConf: string
  readonly pipelineConf?: string
  /** `-D name=value`: macros no file can define again; a bare path stands for itself, other values are lexed in place. */
  readonly definitions?: Readonly<Record<string, string>>
  /** Wins over `hostname` of pipeline.conf and over the system's name. */
  readonly hostname?: string
  /** What OpenSMTPD refuses and we only warn about is an error. */
  readonly strict?: boolean
  /** Folders with the programs of tables, in place of the usual ones. */
  readonly libexec?: readonly string[]
  /** Told each file of the configuration before it is read, tables excepted, and also when something is wrong. */
  readonly onRead?: (path: string) => void
  /** Of files, by path, in place of what is on disk. */
  readonly texts?: ReadonlyMap<string, string>
  /** Whether the file of a table may be read; absent: all may. When it is there, files of the configuration come from `texts` alone. */
  readonly mayRead?: (path: string) => boolean
}

export interface LoadedConfiguration {
  readonly configuration: Configuration
  readonly warnings: readonly Diagnostic[]
  /** Where a statement of pipeline.conf stands, by its first word; the last when there are several. */
  readonly statedAt: ReadonlyMap<string, Span>
  /** Where values come from, by path in the model; absent: nobody knows, as of a model in JSON. */
  readonly setBy?: ReadonlyMap<string, Span>
  /** Of smtpd.conf, pipeline.conf and what they include, by path. */
  readonly texts: ReadonlyMap<string, string>
}

/**
 * Reads smtpd.conf and pipeline.conf into one frozen Configuration. Files that they name must be there.
 * @throws ConfigurationError with everything that is wrong in both files
 */
export async function loadConfiguration(options: LoadOptions): Promise<LoadedConfiguration> {
  const texts = new Map<string, string>()
  const read: ReadText = (path) => {
    const known = texts.get(path)
    if (known !== undefined) return known
    options.onRead?.(path)
    const text = options.texts?.get(path) ?? readUnknown(options, path)
    texts.set(path, text)
    return text
  }
  const smtpdConf = resolve(options.smtpdConf)
  const model = jsonModelAt(smtpdConf, read)
  if (model !== undefined) return loadModel(model, texts, options)
  const grammar = grammarOfFile(smtpdConf, read)
  const policyLexer = openLexer(smtpdConf, { options, read, keywords: keywords[grammar] })
  const policy = parsers[grammar](new TokenReader(policyLexer), options)
  const pipelineLexer =
    options.pipelineConf === undefined
      ? emptyLexer(policyLexer.macros)
      : openLexer(resolve(options.pipelineConf), {
          options,
          read,
          keywords: pipelineKeywords,
          macros: policyLexer.macros,
        })
  const pipeline = parsePipeline(new TokenReader(pipelineLexer), policy)
  const diagnostics = [
    ...policyLexer.diagnostics,
    ...pipelineLexer.diagnostics,
    ...missingFiles(
      options,
      [...policy.files, ...pipeline.files].filter(({ path }) => !isMade(path, pipeline)),
    ),
    ...atRestFaults(policy, pipeline),
  ]
  const named = nameOfHost(options, pipeline)
  if (named.warning !== undefined) diagnostics.push(named.warning)
  const configuration = withReturnTags(
    assemble(policy, pipeline, { hostname: named.hostname, revision: revisionOf(texts, options) }),
    pipeline,
  )
  diagnostics.push(...checkConfiguration(configuration, pipeline, (file) => texts.get(file) ?? ''))
  const errors = diagnostics.filter((one) => one.severity === 'error')
  if (errors.length > 0) throw new ConfigurationError(diagnostics)
  const { setBy } = policy
  if (options.hostname !== undefined) setBy.delete('hostname')
  return { configuration: deepFreeze(configuration), warnings: diagnostics, statedAt: pipeline.statedAt, setBy, texts }
}

/** `undefined`: what is there, if anything is, is smtpd.conf. @throws ConfigurationError */
function jsonModelAt(path: string, read: ReadText): Configuration | undefined {
  let text: string
  try {
    text = read(path)
  } catch {
    return undefined
  }
  if (!isJsonModel(text)) return undefined
  try {
    return parseJsonModel(text)
  } catch (error) {
    if (!(error instanceof JsonModelError)) throw error
    const hint = 'docs/configuration.schema.json says what is meant where'
    throw new ConfigurationError([
      { severity: 'error', code: 'value', message: error.message, span: fileSpan(path), hint },
    ])
  }
}

/** A model holds both files; everything in it was said. */
function loadModel(
  model: Configuration,
  texts: ReadonlyMap<string, string>,
  options: LoadOptions,
): LoadedConfiguration {
  const { smtpdConf, pipelineConf, hostname = model.hostname } = options
  const diagnostics: Diagnostic[] = []
  if (pipelineConf !== undefined) {
    const message = 'a model in JSON has the settings of pipeline.conf in it'
    const at = fileSpan(resolve(pipelineConf))
    diagnostics.push({ severity: 'error', code: 'value', message, span: at, hint: 'leave -p out' })
  }
  const span = fileSpan(resolve(smtpdConf))
  const wrong = (message: string, hint: string): void => {
    diagnostics.push({ severity: 'error', code: 'value', message, span, hint })
  }
  if (!isDomain(hostname)) wrong(`configuration.hostname: "${hostname}" is not a host name`, '"mail.example.org"')
  if (model.atRest.encryption && model.atRest.key === undefined && model.pipeline.spool?.keyFile === undefined)
    wrong('configuration.atRest: encryption needs a key', 'name its file in configuration.pipeline.spool.keyFile')
  const { spool } = model.pipeline
  if (spool !== undefined && (spool.path === undefined) === (spool.bucket === undefined))
    wrong('configuration.pipeline.spool: it lies in a folder or in a bucket', 'give either path or bucket')
  const files = namedFiles(model).map(([what, path]) => ({ path, what, span }))
  diagnostics.push(...missingFiles(options, files))
  const configuration = { ...model, hostname: hostname.toLowerCase(), revision: revisionOf(texts, options) }
  const policy = parsers.modern(new TokenReader(emptyLexer(new Map())))
  const pipeline = parsePipeline(new TokenReader(emptyLexer(new Map())), policy)
  pipeline.stated.add('users')
  diagnostics.push(...checkConfiguration(configuration, pipeline, () => ''))
  if (diagnostics.some(({ severity }) => severity === 'error')) throw new ConfigurationError(diagnostics)
  const statedAt = new Map([...pipelineKeywords].map((word) => [word, span]))
  return { configuration: deepFreeze(configuration), warnings: diagnostics, statedAt, texts }
}

/** Tables are read again when they change, without a reload: they are no part of the revision. */
const readTable: ReadText = readTableFile

const keywords = { old: oldKeywords, modern: modernKeywords } as const
const parsers = {
  old: (reader: TokenReader, options: ReadLimits = {}) =>
    parseOld(reader, allowed(options, readTable), undefined, options.libexec),
  modern: (reader: TokenReader, options: ReadLimits = {}) =>
    parseModern(reader, allowed(options, readTable), options.libexec),
} as const

type ReadLimits = Pick<LoadOptions, 'libexec' | 'mayRead'>

/** A table that is read as a configuration would be told line by line. */
function readUnknown({ mayRead }: ReadLimits, path: string): string {
  if (mayRead !== undefined) throw notInForce(path)
  return readConfigurationFile(path)
}

function allowed({ mayRead }: ReadLimits, read: ReadText): ReadText {
  return (path) => {
    if (mayRead?.(path) === false) throw notInForce(path)
    return read(path)
  }
}

function notInForce(path: string): Error {
  return new Error(`${path} is not a file of the configuration in force`)
}

interface LexerSources {
  readonly options: LoadOptions
  readonly read: ReadText
  readonly keywords: ReadonlySet<string>
  readonly macros?: ReadonlyMap<string, string>
}

function openLexer(path: string, { options, read, keywords, macros }: LexerSources): Lexer {
  try {
    return new Lexer(path, {
      keywords,
      read,
      ...(options.definitions === undefined ? {} : { definitions: options.definitions }),
      ...(macros === undefined ? {} : { macros }),
      strict: options.strict ?? false,
    })
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    throw new ConfigurationError([
      { severity: 'error', code: 'missing-file', message: `cannot read it: ${reason}`, span: fileSpan(path) },
    ])
  }
}

function emptyLexer(macros: ReadonlyMap<string, string>): Lexer {
  return new Lexer('pipeline.conf', { keywords: pipelineKeywords, read: () => '', macros })
}

/** Files that a start makes when they are missing. */
function isMade(path: string, { settings: { acme } }: PipelineDraft): boolean {
  return path === acme?.certFile || path === acme?.keyFile
}

/** Where not all may be read, it is not told which are there, either. */
function missingFiles({ mayRead }: ReadLimits, files: readonly NamedFile[]): readonly Diagnostic[] {
  let missing = 0
  return files.flatMap(({ path, what, span }): Diagnostic[] => {
    if (mayRead?.(path) === false) return []
    try {
      accessSync(path, constants.R_OK)
      return []
    } catch (error) {
      const denied = error instanceof Error && 'code' in error && error.code === 'EACCES'
      const message = denied ? `${what}, ${path}, cannot be read` : `${what}, ${path}, is not there`
      const hint = denied ? 'give the user of this process permission to read it' : hintForMissing(path, (missing += 1))
      return [{ severity: 'error', code: 'missing-file', message, span, hint }]
    }
  })
}

/** The same name with another ending, or one misspelt; when many are missing, only the first are compared with what is there. */
function hintForMissing(path: string, count: number): string {
  const meant = count > 100 ? undefined : closest(basename(path), namesIn(dirname(path)))
  return meant === undefined
    ? 'create it or correct the path'
    : `there is ${meant} in the same folder: did you mean that?`
}

function namesIn(folder: string): readonly string[] {
  try {
    return readdirSync(folder)
  } catch {
    return []
  }
}

function nameOfHost(
  options: LoadOptions,
  pipeline: PipelineDraft,
): { readonly hostname: string; readonly warning?: Diagnostic } {
  const stated = options.hostname ?? pipeline.hostname
  if (stated !== undefined && isDomain(stated)) return { hostname: stated.toLowerCase() }
  const span = fileSpan(resolve(options.smtpdConf))
  if (stated !== undefined) {
    const message = `"${stated}" is not a host name`
    return { hostname: 'localhost', warning: { severity: 'error', code: 'value', message, span } }
  }
  const { hostname, why } = findHostname()
  if (why === undefined) return { hostname }
  const message = `${why}: this server calls itself "${hostname}"`
  const hint = 'set SMTPD_HOSTNAME, or write `hostname "mail.example.org"` in pipeline.conf'
  return { hostname, warning: { severity: 'warning', code: 'incomplete', message, span, hint } }
}

function assemble(
  policy: PolicyDraft,
  pipeline: PipelineDraft,
  host: { readonly hostname: string; readonly revision: string },
): Configuration {
  const srs = completeSrs(policy)
  return {
    ...host,
    listeners: policy.listeners,
    socket: policy.socket ?? { maskSource: false, noDsn: false },
    pkis: completePkis(policy),
    cas: policy.cas,
    tables: policy.tables,
    actions: policy.actions,
    rules: policy.rules,
    queueTtlMs: policy.queueTtlMs,
    maxMessageBytes: policy.maxMessageBytes,
    maxRecipients: policy.maxRecipients,
    maxMailsPerSession: policy.maxMailsPerSession,
    subAddressDelimiter: policy.subAddressDelimiter,
    bounceWarnMs: policy.bounceWarnMs,
    authservId: policy.admd ?? host.hostname,
    ...(policy.ciphers === undefined ? {} : { ciphers: policy.ciphers }),
    limits: policy.limits,
    ...(srs === undefined ? {} : { srs }),
    atRest: completeAtRest(policy, pipeline),
    pipeline: pipeline.settings,
  }
}

/** Of smtpd.conf, pipeline.conf and what they include, and of the definitions. */
function revisionOf(texts: ReadonlyMap<string, string>, options: LoadOptions): string {
  const hash = createHash('sha256')
  for (const [path, text] of [...texts].sort(([one], [other]) => (one < other ? -1 : 1))) {
    hash.update(`${path}\0${text}\0`)
  }
  const definitions = Object.entries(options.definitions ?? {}).sort(([one], [other]) => (one < other ? -1 : 1))
  for (const [name, value] of definitions) hash.update(`${name}=${value}\0`)
  return hash.digest('hex').slice(0, 12)
}
