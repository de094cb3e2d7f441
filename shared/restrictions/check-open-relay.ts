import type { Diagnostic } from '../config/diagnostic.ts'
import type { LoadedConfiguration } from '../config/load.ts'
import { openTables } from '../config/tables.ts'
import { silentLog } from '../log.ts'
import { localAddresses } from '../system.ts'
import { externalOpener } from '../table-host/open-external.ts'
import { describeOpenRelay, findOpenRelays, openRelayHint } from './open-relay.ts'

/** What `check` and `-n` say beside the warnings of the files: where a stranger could relay. */
export async function checkOpenRelay({
  configuration,
  texts,
}: Pick<LoadedConfiguration, 'configuration' | 'texts'>): Promise<readonly Diagnostic[]> {
  const tables = openTables({
    delimiter: configuration.subAddressDelimiter,
    external: externalOpener({ log: silentLog(), now: Date.now }),
  })
  try {
    const found = await findOpenRelays({
      configuration,
      tables,
      localAddresses: localAddresses(),
      nowAt: Date.now(),
    })
    return found.map((relay) => {
      const { file, line, column } = relay.at
      const sourceLine = (texts.get(file)?.split('\n')[line - 1] ?? '').trimEnd()
      const span = { file, line, column, length: Math.max(1, sourceLine.length - column + 1), sourceLine }
      const message = describeOpenRelay(relay)
      return { severity: 'warning', code: 'open-relay', message, span, hint: openRelayHint }
    })
  } finally {
    await tables.close()
  }
}
