import type { Diagnostic } from '../config/diagnostic.ts'
import type { LoadedConfiguration } from '../config/load.ts'
import { openTables } from '../config/tables.ts'
import { silentLog } from '../log.ts'
import { localAddresses } from '../system.ts'
import { externalOpener } from '../table-host/open-external.ts'
import { findOpenDoors } from './open-doors.ts'

/** What `check` and `-n` say beside the warnings of the files: what a stranger could do here. With an error among them the inbound service does not start. */
export async function checkOpenDoors({
  configuration,
  texts,
}: Pick<LoadedConfiguration, 'configuration' | 'texts'>): Promise<readonly Diagnostic[]> {
  const tables = openTables({
    delimiter: configuration.subAddressDelimiter,
    external: externalOpener({ log: silentLog(), now: Date.now }),
  })
  try {
    const found = await findOpenDoors({
      configuration,
      tables,
      localAddresses: localAddresses(),
      nowAt: Date.now(),
    })
    return found.map(({ at, code, severity, message, hint }) => {
      const { file, line, column } = at
      const sourceLine = (texts.get(file)?.split('\n')[line - 1] ?? '').trimEnd()
      const span = { file, line, column, length: Math.max(1, sourceLine.length - column + 1), sourceLine }
      return { severity, code, message, span, hint }
    })
  } finally {
    await tables.close()
  }
}
