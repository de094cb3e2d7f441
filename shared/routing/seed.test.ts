import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'

import type { ExternalTable } from '../config/external-table.ts'
import { loadConfiguration } from '../config/load.ts'
import { oracleText, withoutOracle } from '../config/oracle-fixture.ts'
import { settle } from '../config/settle.ts'
import { openTables } from '../config/tables.ts'
import type { Mailbox } from '../mail/address.ts'
import { explain } from './explain.ts'
import type { Transaction } from './transaction.ts'

const folder = mkdtempSync(join(tmpdir(), 'seed-'))
after(() => rmSync(folder, { recursive: true }))

const seeds = { 'seed.smtpd.conf': 'as it stands', 'seed.modern.conf': 'in the modern grammar' }

for (const [file, how] of Object.entries(seeds)) {
  test(`the configuration this project began with runs on queues ${how}`, { skip: withoutOracle }, () =>
    runsOnQueues(file),
  )
}

/** The mailbox server of the file knows whoever is asked for. */
const everybody: ExternalTable = {
  lookup: () => Promise.resolve({ value: '' }),
  check: () => Promise.resolve({ value: '' }),
  fetch: () => Promise.resolve({ value: undefined }),
  update: () => Promise.resolve(),
  close: () => Promise.resolve(),
}

/** Only the paths of its files are others: /etc is not ours. */
async function runsOnQueues(file: string): Promise<void> {
  const text = oracleText(file).replaceAll('/etc/certs', folder).replaceAll('/etc/aliases', join(folder, 'aliases'))
  writeFileSync(join(folder, 'smtpd.conf'), text)
  writeFileSync(join(folder, 'pipeline.conf'), '')
  writeFileSync(join(folder, 'aliases'), 'root: joe\n')
  for (const name of ['exem.pl.crt', 'exem.pl.key']) writeFileSync(join(folder, name), 'x')
  const { configuration } = await loadConfiguration({
    smtpdConf: join(folder, 'smtpd.conf'),
    pipelineConf: join(folder, 'pipeline.conf'),
    hostname: 'mail.exem.pl',
  })
  const tables = openTables({ external: () => everybody })
  const way = async (transaction: Partial<Transaction>, recipient: string): Promise<readonly string[]> => {
    const context = {
      configuration,
      localAddresses: new Set(['127.0.0.1']),
      transaction: { peer: { address: '192.0.2.1' }, tls: false, tags: [], reversePath: null, ...transaction },
    }
    const { steps, resolution } = await settle(tables, (settled) =>
      explain({ ...context, tables: settled }, recipient as Mailbox, 0),
    )
    const taken = steps.map(({ route }) => (route.kind === 'stage' ? route.queue : route.kind))
    return resolution.kind === 'accepted' ? [...taken, ...resolution.recipients.map((one) => one.mailbox)] : taken
  }
  assert.deepEqual(
    configuration.listeners.map((listener) => listener.port),
    [25, 465, 587],
  )
  assert.deepEqual(await way({}, 'joe@exem.pl'), ['filter', 'local', 'joe@exem.pl'])
  assert.deepEqual(await way({}, 'root@exem.pl'), ['filter', 'local', 'joe@exem.pl'])
  assert.deepEqual(await way({}, 'joe@far.org'), ['reject'])
  assert.deepEqual(await way({ user: 'joe' }, 'bob@far.org'), ['sign', 'relay', 'bob@far.org'])
  assert.deepEqual(await way({ peer: 'local' }, 'bob@far.org'), ['sign', 'relay', 'bob@far.org'])
}
