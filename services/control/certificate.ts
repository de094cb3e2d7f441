import { stdin } from 'node:process'
import { text } from 'node:stream/consumers'

import { putSiteCertificate } from '../../shared/start/site-certificate.ts'
import { ControlError, exitCodes } from './command.ts'
import type { Command, Invocation } from './command.ts'
import { visible } from './terminal.ts'

export const certificatePut: Command = {
  words: ['certificate', 'put'],
  operands: [],
  options: [{ name: 'folder', value: 'FOLDER', summary: 'of what `init` made ($SLUICE_IDENTITY)' }],
  summary: 'use the certificate with its chain and its key that come on standard input, in PEM; no restart is needed',
  run,
}

async function run({ options, terminal, environment }: Invocation): Promise<number> {
  const folder = options.text('folder') ?? environment['SLUICE_IDENTITY'] ?? ''
  if (folder === '') throw new ControlError('say where it goes: --folder FOLDER, or set SLUICE_IDENTITY')
  const hostname = environment['SMTPD_HOSTNAME'] ?? 'localhost'
  const { names, validUntil, warnings } = await putSiteCertificate(folder, await text(stdin), {
    hostname,
    nowAt: Date.now(),
  })
  if (options.has('json')) terminal.print(JSON.stringify({ names, validUntil, warnings }))
  else {
    terminal.print(`${visible(names.join(', '))}: valid until ${validUntil.toISOString()}`)
    for (const warning of warnings) terminal.warn(warning)
  }
  return exitCodes.done
}
