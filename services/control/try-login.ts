import type { Configuration, LoginSetting } from '../../shared/config/model.ts'
import { openTables } from '../../shared/config/tables.ts'
import type { TableSet } from '../../shared/config/tables.ts'
import { systemClock } from '../../shared/clock.ts'
import { createPasswordVerifier } from '../../shared/crypt/verify-password.ts'
import { silentLog } from '../../shared/log.ts'
import type { LoginBackend, LoginVerdict } from '../../shared/login/login-backend.ts'
import { createLoginBackends } from '../../shared/login/login-backends.ts'
import { externalOpener } from '../../shared/table-host/open-external.ts'
import { ControlError, UsageError, exitCodes } from './command.ts'
import type { Command, Invocation } from './command.ts'
import { loadPlace } from './connect.ts'
import { visible } from './terminal.ts'

export const tryLogin: Command = {
  words: ['auth', 'test'],
  operands: [{ name: 'USER', required: true }],
  options: [
    { name: 'port', value: 'N', summary: 'of the listener to ask as; absent: what `login` of pipeline.conf names' },
    { name: 'token', summary: 'a token of OAuth 2 instead of a password' },
  ],
  summary: 'whether a user may log in, and which back end says so; asks for the password',
  run,
}

/** What one back end said. */
interface Answer {
  readonly backend: string
  readonly result: 'accepted' | 'refused' | 'unavailable'
  /** Under which name. */
  readonly user?: string
  readonly reason?: string
}

type Ask = (backend: LoginBackend) => Promise<LoginVerdict | undefined>

async function run(invocation: Invocation): Promise<number> {
  const { terminal, options, operands } = invocation
  const { configuration } = await loadPlace(invocation)
  const settings = settingsFor(configuration, options.text('port'))
  const user = operands[0] ?? ''
  const secret = await terminal.askSecret(options.has('token') ? 'Token: ' : 'Password: ')
  if (secret === undefined || secret === '') throw new ControlError('nothing was given to log in with')
  const client = { address: '127.0.0.1', secure: true }
  const ask: Ask = async (backend) =>
    options.has('token') ? backend.checkToken?.(secret, user) : backend.checkPassword?.(user, secret, client)
  const tables = openTables({
    delimiter: configuration.subAddressDelimiter,
    onWarning: (message) => terminal.warn(message),
    external: externalOpener({ log: silentLog(), now: Date.now }),
  })
  const answers = await answersOf(settings, tables, ask)
  await tables.close()
  const accepted = answers.some(({ result }) => result === 'accepted')
  if (options.has('json')) terminal.print(JSON.stringify({ accepted, answers }, undefined, 2))
  else for (const line of render(answers)) terminal.print(line)
  return accepted ? exitCodes.done : exitCodes.failed
}

/** @throws UsageError, ControlError: nobody can be asked */
function settingsFor({ listeners, pipeline }: Configuration, port: string | undefined): readonly LoginSetting[] {
  const listener = listeners.find((one) => String(one.port) === port)
  if (port !== undefined && (listener === undefined || listener.auth.kind === 'none'))
    throw new UsageError(`no listener on port ${port} has auth`)
  const table = listener?.auth.table
  const settings = table === undefined ? pipeline.login : [{ kind: 'table', table } as const]
  if (settings.length > 0) return settings
  throw new ControlError(
    'pipeline.conf names nobody in `login`: give the --port of a listener that has `auth <table>`',
    exitCodes.configuration,
  )
}

/** In their order, as far as the first that accepts. */
async function answersOf(settings: readonly LoginSetting[], tables: TableSet, ask: Ask): Promise<readonly Answer[]> {
  const verifier = createPasswordVerifier()
  const backends = createLoginBackends({ tables, verifier, clock: systemClock })
  const answers: Answer[] = []
  try {
    for (const setting of settings) {
      const answer = await answerOf(backends.of(setting), ask)
      if (answer === undefined) continue
      answers.push(answer)
      if (answer.result === 'accepted') break
    }
    return answers
  } finally {
    backends.close()
    await verifier.close()
  }
}

/** Undefined: it knows nothing of this kind. */
async function answerOf(backend: LoginBackend, ask: Ask): Promise<Answer | undefined> {
  try {
    const verdict = await ask(backend)
    if (verdict === undefined) return undefined
    const { kind: result } = verdict
    return { backend: backend.name, result, ...(verdict.kind === 'accepted' ? { user: verdict.user } : {}) }
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    return { backend: backend.name, result: 'unavailable', reason }
  }
}

function render(answers: readonly Answer[]): readonly string[] {
  if (answers.length === 0) return ['no back end knows anything of this kind']
  return answers.map(({ backend, result, user, reason }) => {
    const detail = user === undefined ? (reason === undefined ? '' : `: ${reason}`) : ` as ${user}`
    return visible(`${backend}: ${result}${detail}`)
  })
}
