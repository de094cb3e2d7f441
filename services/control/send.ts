import { readFile } from 'node:fs/promises'
import { hostname } from 'node:os'

import { createTransport } from 'nodemailer'

import { isMessageId } from '../../shared/mail/message-id.ts'
import { ControlError, UsageError, exitCodes } from './command.ts'
import type { Command, Invocation, OptionValues } from './command.ts'
import { visible } from './terminal.ts'

export const send: Command = {
  words: ['send'],
  operands: [],
  options: [
    { name: 'to', value: 'ADDRESS', multiple: true, summary: 'recipient' },
    { name: 'from', value: 'ADDRESS', summary: 'sender (postmaster@localhost)' },
    { name: 'server', value: 'HOST', summary: 'SMTP server (127.0.0.1)' },
    { name: 'port', value: 'PORT', summary: 'its port (2525)' },
    { name: 'smtps', summary: 'TLS from the start; goes without saying on ports 465 and 2465' },
    { name: 'tls', summary: 'refuse to go on without STARTTLS; certificates of other hosts are verified' },
    { name: 'user', value: 'NAME', summary: 'sign in as' },
    { name: 'password-file', value: 'FILE', summary: 'file with the password on its first line' },
    { name: 'subject', value: 'TEXT', summary: 'subject' },
    { name: 'body', value: 'TEXT', summary: 'text of the message' },
  ],
  summary: 'send a test message by SMTP; prints the reply and the id',
  run,
}

const limitMs = 30_000

async function run({ options, terminal }: Invocation): Promise<number> {
  const to = options.texts('to')
  if (to.length === 0) throw new UsageError('--to is missing')
  const transport = createTransport(await transportOptions(options))
  try {
    const sent = await transport.sendMail({
      from: options.text('from') ?? 'postmaster@localhost',
      to: [...to],
      subject: options.text('subject') ?? 'Test message',
      text: options.text('body') ?? `A test message of sluicectl on ${hostname()}, ${new Date().toISOString()}.\n`,
      disableFileAccess: true,
      disableUrlAccess: true,
    })
    const id = idIn(sent.response)
    const rejected = (sent.rejectedErrors ?? []).map((error) => error.response ?? error.message)
    if (options.has('json')) terminal.print(JSON.stringify({ reply: sent.response, id, rejected }))
    else {
      terminal.print(visible(sent.response))
      for (const reply of rejected) terminal.warn(visible(reply))
      if (id !== undefined) terminal.print(`sluicectl show message ${id}`)
    }
    return rejected.length === 0 ? exitCodes.done : exitCodes.failed
  } catch (error) {
    const { response, message } = error as Error & { readonly response?: string }
    throw new ControlError(visible(response ?? message), exitCodes.failed, { cause: error })
  } finally {
    transport.close()
  }
}

async function transportOptions(options: OptionValues) {
  const host = options.text('server') ?? '127.0.0.1'
  const port = portOf(options.text('port') ?? '2525')
  const user = options.text('user')
  return {
    host,
    port,
    secure: options.has('smtps') || port === 465 || port === 2465,
    requireTLS: demandsTls(options),
    // A first start's certificate is self-signed; on this machine nobody is between.
    tls: { rejectUnauthorized: demandsTls(options) && !isThisMachine(host) },
    connectionTimeout: limitMs,
    greetingTimeout: limitMs,
    socketTimeout: limitMs,
    ...(user === undefined ? {} : { auth: { user, pass: await passwordOf(options) } }),
  }
}

/** TLS that was asked for is TLS with the right peer. */
function demandsTls(options: OptionValues): boolean {
  return options.has('tls') || options.has('smtps')
}

function portOf(text: string): number {
  const port = Number(text)
  if (!/^\d{1,5}$/.test(text) || port < 1 || port > 65_535)
    throw new UsageError(`--port ${text}: a number from 1 to 65535 is wanted`)
  return port
}

async function passwordOf(options: OptionValues): Promise<string> {
  const file = options.text('password-file')
  if (file === undefined) throw new UsageError('--user needs --password-file')
  try {
    return (await readFile(file, 'utf8')).split(/\r?\n/, 1)[0] ?? ''
  } catch (error) {
    throw new ControlError(`cannot read ${file}: ${(error as Error).message}`, exitCodes.failed, { cause: error })
  }
}

function isThisMachine(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127\.\d+\.\d+\.\d+$/.test(host)
}

/** The id a Sluice's 250 ends with. */
function idIn(reply: string): string | undefined {
  return reply.split(/\s+/).findLast((word) => isMessageId(word))
}
