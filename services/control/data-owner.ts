import { statSync } from 'node:fs'
import { userInfo } from 'node:os'

/**
 * From here on root works as the owner of the data folder: what a command makes there, services that run as he does can read, write and
 * delete. Does nothing for anybody else, and where the folder is root's or is not there yet.
 */
export function workAsOwner(dataFolder: string): void {
  if (process.geteuid?.() !== 0) return
  const owner = statSync(dataFolder, { throwIfNoEntry: false })
  if (owner === undefined || owner.uid === 0) return
  process.setegid?.(owner.gid)
  process.seteuid?.(owner.uid)
}

/** Who runs the command, whomever he works as. */
export function userName(): string {
  return process.getuid?.() === 0 ? 'root' : userInfo().username
}
