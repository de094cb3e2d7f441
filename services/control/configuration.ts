import { ConfigurationError } from '../../shared/config/load.ts'
import { renderDiagnostic } from '../../shared/config/diagnostic.ts'
import { deadAfterMs, readHeartbeats } from '../../shared/heartbeat.ts'
import { checkOpenDoors } from '../../shared/restrictions/check-open-doors.ts'
import { toJson } from '../../shared/config/to-json.ts'
import { exitCodes } from './command.ts'
import type { Command, Invocation } from './command.ts'
import { loadPlace } from './connect.ts'
import type { Place } from './connect.ts'
import { settingActions, showSettings } from './settings.ts'
import { textTable } from './text-table.ts'

export const config: Command = {
  words: ['config'],
  operands: [
    { name: settingActions.join('|'), required: false },
    { name: 'PATH', required: false },
  ],
  summary:
    'the configuration as it was understood; get: values with the line they come from, diff: those that are no defaults, types: of tables; --json prints the whole model',
  run: (invocation) => (invocation.operands.length === 0 ? showConfiguration(invocation) : showSettings(invocation)),
}

export const check: Command = {
  words: ['check'],
  operands: [{ name: 'FILE', required: false }],
  summary: 'check smtpd.conf and pipeline.conf; exit code 78 when they would not start',
  run: checkConfiguration,
}

async function showConfiguration(invocation: Invocation): Promise<number> {
  const { terminal, options } = invocation
  const place = await loadPlace(invocation)
  for (const line of await notInForce(place)) terminal.warn(line)
  if (options.has('json')) {
    terminal.print(JSON.stringify(toJson(place.configuration), undefined, 2))
    return exitCodes.done
  }
  for (const line of summary(place)) terminal.print(line)
  return exitCodes.done
}

/** Where a running service works by something else than these files say. */
export async function notInForce({
  configuration,
  dataFolder,
}: Pick<Place, 'configuration' | 'dataFolder'>): Promise<readonly string[]> {
  const nowAt = Date.now()
  const living = (await readHeartbeats(dataFolder, nowAt)).filter(({ at }) => nowAt - at <= deadAfterMs)
  const lines = living.flatMap(({ service, pid, host, configuration: running }) => {
    if (running === undefined) return []
    if (running.revision !== configuration.revision)
      return [`not in force: ${service} (${pid} on ${host}) works by revision ${running.revision}; see 'show status'`]
    return running.waiting ?? []
  })
  return [...new Set(lines)]
}

function summary({ configuration, dataFolder, spool }: Place): readonly string[] {
  const { listeners, rules, pipeline } = configuration
  const { dashboard, queues } = pipeline
  const listens = listeners.map((one) => [
    `  ${one.on}:${one.port}`,
    `TLS ${one.tls}`,
    `auth ${one.auth.kind}`,
    one.tag === undefined ? '' : `tag ${one.tag}`,
  ])
  return [
    ...textTable(
      [{}, {}],
      [
        ['revision', configuration.revision],
        ['hostname', configuration.hostname],
        ['data', dataFolder],
        ['spool', spool],
        ['dashboard', `http://${dashboard.host}:${dashboard.port}`],
      ],
    ),
    'listeners',
    ...textTable([{}, {}, {}, {}], listens),
    'queues',
    ...textTable(
      [{}, {}, {}, {}],
      [...queues.values()].map((queue) => [
        `  ${queue.name}`,
        `tag ${queue.tag}`,
        `${queue.concurrency} at once`,
        `on failure ${queue.onFailure}`,
      ]),
    ),
    'rules',
    ...rules.map((rule) => `  ${rule.at.file}:${rule.at.line}  ${rule.text}`),
  ]
}

async function checkConfiguration(invocation: Invocation): Promise<number> {
  const { terminal, options, operands } = invocation
  const json = options.has('json')
  try {
    const { configuration, warnings: told, texts } = await loadPlace(invocation, operands[0])
    const warnings = [...told, ...(await checkOpenDoors({ configuration, texts }))]
    if (warnings.some(({ severity }) => severity === 'error')) throw new ConfigurationError(warnings)
    if (json) terminal.print(JSON.stringify({ revision: configuration.revision, diagnostics: warnings }, undefined, 2))
    else {
      for (const warning of warnings) terminal.warn(renderDiagnostic(warning))
      terminal.print(`configuration OK (revision ${configuration.revision})`)
    }
    return exitCodes.done
  } catch (error) {
    if (!json || !(error instanceof ConfigurationError)) throw error
    terminal.print(JSON.stringify({ diagnostics: error.diagnostics }, undefined, 2))
    return exitCodes.configuration
  }
}
