import type { Configuration } from '../config/model.ts'
import { parseText } from '../config/oracle-fixture.ts'
import { defaultPipeline } from '../config/pipeline-grammar.ts'
import { completePkis, completeSrs } from '../config/policy-draft.ts'
import { openTables } from '../config/tables.ts'
import type { Mailbox } from '../mail/address.ts'
import type { PipelineSettings } from '../config/model.ts'
import type { RoutingContext, Transaction } from './transaction.ts'

/** For tests: the rules of a text, as a stranger sees them unless `transaction` says otherwise. */
export function contextOf(
  text: string,
  transaction: Partial<Transaction> = {},
  pipeline: Partial<PipelineSettings> = {},
): RoutingContext {
  const { draft, diagnostics } = parseText(text)
  const [fault] = diagnostics.filter((one) => one.severity === 'error')
  if (fault !== undefined) throw new Error(`${fault.message} in line ${fault.span.line}`)
  const srs = completeSrs(draft)
  const configuration: Configuration = {
    ...draft,
    revision: '',
    hostname: 'mail.example.org',
    authservId: '',
    atRest: { compression: false, encryption: false },
    socket: { maskSource: false, noDsn: false },
    pkis: completePkis(draft),
    ciphers: '',
    ...(srs === undefined ? {} : { srs }),
    pipeline: { ...defaultPipeline(), ...pipeline },
  }
  return {
    configuration,
    tables: openTables({ delimiter: configuration.subAddressDelimiter }),
    localAddresses: new Set(['127.0.0.1', '::1', '10.9.9.1']),
    transaction: { peer: { address: '192.0.2.1' }, tls: false, tags: [], reversePath: null, ...transaction },
  }
}

export function mailbox(text: string): Mailbox {
  return text as Mailbox
}
