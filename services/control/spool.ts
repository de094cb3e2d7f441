import { editMessage } from '../../shared/mail/header-edit.ts'
import { formatDuration, formatSize, plural } from '../../shared/report/units.ts'
import { findMessage, listMessages } from '../../shared/spool/list-messages.ts'
import type { SpooledMessage } from '../../shared/spool/spool.ts'
import { readSpoolKeys } from '../../shared/start/spool-keys.ts'
import { ControlError, exitCodes } from './command.ts'
import type { Command, Invocation } from './command.ts'
import { findPlace, messageIdOperand } from './connect.ts'
import { textTable } from './text-table.ts'

export const spoolList: Command = {
  words: ['spool', 'list'],
  operands: [],
  summary: 'all messages on disk that are not settled; needs no Redis',
  run: list,
}

export const spoolCat: Command = {
  words: ['spool', 'cat'],
  operands: [{ name: 'ID', required: true }],
  options: [{ name: 'raw', summary: 'exactly as it was received, without our Received field' }],
  summary: 'the message itself, on standard output',
  run: cat,
}

async function list(invocation: Invocation): Promise<number> {
  const { terminal, options } = invocation
  const { openVolume } = await findPlace(invocation)
  const messages = await listMessages(await openVolume())
  if (options.has('json')) {
    terminal.print(JSON.stringify(messages, undefined, 2))
    return exitCodes.done
  }
  const nowAt = Date.now()
  const rows = messages.map(({ id, receivedAt, locator, pending, held }) => [
    id,
    formatDuration(Math.max(0, nowAt - receivedAt)),
    formatSize(locator.sizeBytes),
    String(pending.length),
    String(held.length),
    `${locator.segment} at ${locator.offset}`,
  ])
  const lines = textTable(
    [
      { title: 'id' },
      { title: 'age', align: 'right' },
      { title: 'size', align: 'right' },
      { title: 'pending', align: 'right' },
      { title: 'held', align: 'right' },
      { title: 'segment' },
    ],
    rows,
  )
  if (rows.length > 0) for (const line of lines) terminal.print(line)
  terminal.print(`${plural(messages.length, 'message')} not settled`)
  return exitCodes.done
}

async function cat(invocation: Invocation): Promise<number> {
  const { terminal, options } = invocation
  const stored = await storedMessage(invocation)
  const { header, before, after } = editMessage(await stored.header(), options.has('raw') ? [] : stored.edits)
  if (options.has('json')) {
    const body = (await stored.content()).subarray(stored.locator.headerBytes)
    const content = Buffer.concat([header, before, body, after])
    terminal.print(
      JSON.stringify({ envelope: stored.envelope, locator: stored.locator, content: content.toString('latin1') }),
    )
    return exitCodes.done
  }
  for await (const chunk of octetsOf(stored, { header, before, after })) await terminal.write(chunk)
  return exitCodes.done
}

/** Prints a message as it was accepted, each piece of it changed on its way. @throws ControlError */
export async function printMessage(
  invocation: Invocation,
  change: (octets: AsyncIterable<Buffer>) => AsyncIterable<Buffer>,
): Promise<number> {
  const stored = await storedMessage(invocation)
  const edited = editMessage(await stored.header(), stored.edits)
  for await (const chunk of change(octetsOf(stored, edited))) await invocation.terminal.write(chunk)
  return exitCodes.done
}

async function storedMessage(invocation: Invocation): Promise<SpooledMessage> {
  const id = messageIdOperand(invocation)
  const { openVolume, configuration } = await findPlace(invocation)
  const stored = await findMessage(await openVolume(), id, await readSpoolKeys(configuration))
  if (stored === undefined) throw new ControlError(`message ${id} is not in the spool`)
  return stored
}

async function* octetsOf(
  stored: SpooledMessage,
  { header, before, after }: ReturnType<typeof editMessage>,
): AsyncGenerator<Buffer> {
  yield Buffer.concat([header, before])
  for await (const chunk of stored.stream(stored.locator.headerBytes)) yield chunk as Buffer
  yield after
}
