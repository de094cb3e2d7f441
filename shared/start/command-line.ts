import { parseArgs } from 'node:util'

import { libexecFolders } from '../config/table-program.ts'

/** What `npm start -- …` and the environment ask for. */
export interface StartOptions {
  /** smtpd.conf; absent: the local configuration that ships with Sluice. */
  readonly smtpdConf?: string
  readonly pipelineConf?: string
  /** Only read and check the configuration. */
  readonly checkOnly: boolean
  /** Names of services; empty: all. */
  readonly services: readonly string[]
  readonly dataFolder: string
  readonly redisUrl?: string
  /** `-D name=value`: macros that the files cannot override. */
  readonly definitions: Readonly<Record<string, string>>
  /** Folders with the programs of tables. */
  readonly libexec: readonly string[]
  /** Processes that share the ports of the inbound service. */
  readonly inboundProcesses: number
  readonly help: boolean
}

export const usage = `usage: npm start -- [-n] [-f smtpd.conf] [-p pipeline.conf] [-d data] [-i count] [-D name=value] [service ...]
  -f FILE        smtpd.conf                        (SMTPD_CONF; default deploy/local/smtpd.conf)
  -p FILE        pipeline.conf                     (PIPELINE_CONF)
  -d FOLDER      spool, keys, Redis                (SLUICE_DATA; default ./var)
  -n             check the configuration and stop
  -D name=value  define a macro
  -i COUNT       processes that share the SMTP ports (SLUICE_INBOUND_PROCESSES; default 1)
  Redis: REDIS_URL; without it Sluice starts one of its own in the data folder.
  Services: ledger delivery relay signer filter dashboard inbound (default: all)`

/** The command line cannot be understood: exit code 1 and the text. */
export class UsageError extends Error {
  override readonly name = 'UsageError'
}

/** Reads arguments and environment; an argument wins. @throws UsageError */
export function readCommandLine(args: readonly string[], env: NodeJS.ProcessEnv): StartOptions {
  const { values, positionals } = parse(args)
  const smtpdConf = values.f ?? nonEmpty(env['SMTPD_CONF'])
  const pipelineConf = values.p ?? nonEmpty(env['PIPELINE_CONF'])
  const redisUrl = nonEmpty(env['REDIS_URL'])
  return {
    ...(smtpdConf === undefined ? {} : { smtpdConf }),
    ...(pipelineConf === undefined ? {} : { pipelineConf }),
    ...(redisUrl === undefined ? {} : { redisUrl }),
    checkOnly: values.n ?? false,
    help: values.help ?? false,
    services: positionals,
    inboundProcesses: count(values.i ?? nonEmpty(env['SLUICE_INBOUND_PROCESSES']) ?? '1'),
    libexec: libexecFolders(env['SMTPD_LIBEXEC']),
    dataFolder: values.d ?? nonEmpty(env['SLUICE_DATA']) ?? 'var',
    definitions: {
      ...environmentDefinitions(env),
      ...Object.fromEntries((values.D ?? []).map((one) => definition(one))),
    },
  }
}

function parse(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        f: { type: 'string', short: 'f' },
        p: { type: 'string', short: 'p' },
        d: { type: 'string', short: 'd' },
        n: { type: 'boolean', short: 'n' },
        i: { type: 'string', short: 'i' },
        D: { type: 'string', short: 'D', multiple: true },
        help: { type: 'boolean', short: 'h' },
      },
    })
  } catch (error) {
    throw new UsageError(`${(error as Error).message}\n${usage}`)
  }
}

function nonEmpty(text: string | undefined): string | undefined {
  return text === undefined || text === '' ? undefined : text
}

function count(text: string): number {
  const number = Number(text)
  if (!Number.isInteger(number) || number < 1 || number > 64)
    throw new UsageError(`-i ${text}: write a number from 1 to 64`)
  return number
}

function definition(text: string): [string, string] {
  const equals = text.indexOf('=')
  if (equals < 1) throw new UsageError(`-D ${text}: write -D name=value`)
  return [text.slice(0, equals), text.slice(equals + 1)]
}

/** `SMTPD_D_name=value` is `-D name=value`. */
function environmentDefinitions(env: NodeJS.ProcessEnv): Record<string, string> {
  const prefix = 'SMTPD_D_'
  return Object.fromEntries(
    Object.entries(env)
      .filter(([name, value]) => name.startsWith(prefix) && value !== undefined)
      .map(([name, value]) => [name.slice(prefix.length), value as string]),
  )
}
