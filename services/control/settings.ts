import { closest } from '../../shared/config/diagnostic.ts'
import { defaultSettings, isOfHost, settingsOf } from '../../shared/config/settings.ts'
import type { Setting } from '../../shared/config/settings.ts'
import { tableTypes } from '../../shared/config/table-source.ts'
import type { Json } from '../../shared/config/to-json.ts'
import { ControlError, UsageError, exitCodes } from './command.ts'
import type { Invocation } from './command.ts'
import { loadPlace } from './connect.ts'
import { textTable } from './text-table.ts'

/** What may stand behind `config`. */
export const settingActions = ['get', 'defaults', 'diff', 'types'] as const

type SettingAction = (typeof settingActions)[number]

/**
 * `config get [PATH]`, `config defaults [PATH]`, `config diff [PATH]`, `config types`: as postconf, -d, -n and -m. Nothing sets a value:
 * what holds is what the files say, comments and all, so that they are edited and `check` and `reload` do the rest.
 * @throws UsageError, ControlError
 */
export async function showSettings(invocation: Invocation): Promise<number> {
  const [word = '', path] = invocation.operands
  const action = actionOf(word)
  if (action === 'types') {
    if (path !== undefined) throw new UsageError(`'${path}' is too much; usage: sluicectl config types`)
    return print(invocation, tableTypes)
  }
  const settings = await settingsFor(action, invocation)
  return print(invocation, path === undefined ? settings : within(path, settings, action))
}

function actionOf(word: string): SettingAction {
  const meant = settingActions.filter((one) => one.startsWith(word))
  const [action] = meant
  if (action !== undefined && (meant.length === 1 || action === word)) return action
  throw new UsageError(`'${word}' is none of ${settingActions.join(', ')}; usage: sluicectl config get PATH`)
}

async function settingsFor(action: Exclude<SettingAction, 'types'>, invocation: Invocation) {
  const place = await loadPlace(invocation)
  const { hostname } = place.configuration
  if (action === 'get') return settingsOf(place)
  const defaults = await defaultSettings(hostname)
  if (action === 'defaults') return defaults
  const usual = new Map(defaults.map(({ path, value }) => [path, JSON.stringify(value)]))
  return settingsOf(place).filter(({ path, value, place: stated }) =>
    isOfHost(path) ? stated !== undefined : usual.get(path) !== JSON.stringify(value),
  )
}

/** The value of that path, or all values below it. @throws ControlError when the model has no such path */
function within(path: string, settings: readonly Setting[], action: SettingAction): readonly Setting[] {
  const found = settings.filter((one) => one.path === path || one.path.startsWith(`${path}.`))
  if (found.length > 0 || action === 'diff') return found
  const paths = new Set(settings.flatMap((one) => prefixesOf(one.path)))
  const meant = closest(path, paths)
  const hint = meant === undefined ? "'sluicectl config get' lists all" : `did you mean ${meant}?`
  throw new ControlError(`nothing is set as '${path}': ${hint}`)
}

/** `a.b.c`, `a.b`, `a`. */
function prefixesOf(path: string): readonly string[] {
  const parts = path.split('.')
  return parts.map((_, index) => parts.slice(0, index + 1).join('.'))
}

function print({ terminal, options }: Invocation, settings: readonly (Setting | string)[]): number {
  if (options.has('json')) terminal.print(JSON.stringify(settings, undefined, 2))
  else for (const line of lines(settings)) terminal.print(line)
  return exitCodes.done
}

function lines(settings: readonly (Setting | string)[]): readonly string[] {
  return textTable(
    [{}, {}, {}],
    settings.map((one) => (typeof one === 'string' ? [one] : [one.path, written(one.value), one.place ?? 'default'])),
  )
}

function written(value: Json): string {
  return typeof value === 'string' ? value : JSON.stringify(value)
}
