import { readFileSync } from 'node:fs'

/** `user`, `group` and `chroot` of a proc or filter in smtpd.conf. */
export interface RunAs {
  readonly user?: string
  readonly group?: string
  readonly chroot?: string
}

/** What to spawn. Supplementary groups are given up with the user. */
export interface ProgramStart {
  readonly command: string
  readonly args: readonly string[]
  readonly uid?: number
  readonly gid?: number
}

export interface Accounts {
  readonly passwd: string
  readonly group: string
}

/**
 * The shell that runs `line` with what `runAs` asks for; the group of the user unless one is named. Only root can give itself
 * up: others run it as they are (`cannotRunAs` says so).
 * @throws an error that names the user or group that is not there
 */
export function startOf(line: string, runAs: RunAs, accounts: () => Accounts = systemAccounts): ProgramStart {
  const shell = { command: '/bin/sh', args: ['-c', `exec ${line}`] }
  if (process.getuid?.() !== 0) return shell
  const { chroot } = runAs
  const ids: Ids = runAs.user === undefined && runAs.group === undefined ? {} : idsOf(runAs, accounts())
  if (chroot === undefined) return { ...shell, ...ids }
  // The ids are given up inside: before, chroot(2) would not be permitted.
  const { uid = 0, gid = 0 } = ids
  const given = ids.gid === undefined ? [] : [`--userspec=+${uid}:+${gid}`, '--groups=']
  return { command: 'chroot', args: [...given, chroot, shell.command, ...shell.args] }
}

/** What of `runAs` this process has no right to do; absent: all of it is done. */
export function cannotRunAs({ user, group, chroot }: RunAs): string | undefined {
  if (process.getuid?.() === 0) return undefined
  const asked = Object.entries({ user, group, chroot }).flatMap(([word, value]) =>
    value === undefined ? [] : [`${word} ${value}`],
  )
  return asked.length === 0 ? undefined : `${asked.join(', ')}: only root can do that, it runs as this process does`
}

interface Ids {
  readonly uid?: number
  readonly gid?: number
}

function idsOf({ user, group }: RunAs, { passwd, group: groups }: Accounts): Ids {
  const account = user === undefined ? undefined : entryOf(passwd, user)
  if (user !== undefined && account === undefined) throw new Error(`there is no user "${user}"`)
  const named = group === undefined ? undefined : entryOf(groups, group)
  if (group !== undefined && named === undefined) throw new Error(`there is no group "${group}"`)
  const gid = Number(named?.[2] ?? account?.[3])
  return account === undefined ? { gid } : { uid: Number(account[2]), gid }
}

/** Fields of the line that begins with the name, in passwd(5) and group(5). */
function entryOf(text: string, name: string): readonly string[] | undefined {
  return text
    .split('\n')
    .find((line) => line.startsWith(`${name}:`))
    ?.split(':')
}

function systemAccounts(): Accounts {
  return { passwd: readFileSync('/etc/passwd', 'utf8'), group: readFileSync('/etc/group', 'utf8') }
}
