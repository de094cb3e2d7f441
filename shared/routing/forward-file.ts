import { join } from 'node:path'

import type { TextFiles } from '../config/text-files.ts'
import type { FileTargets } from './include-file.ts'
import { targetsOfLines } from './include-file.ts'

const maximumBytes = 4096
const maximumTargets = 100
const writableByOthers = 0o022
const sticky = 0o1000

export interface ForwardUser {
  readonly name: string
  readonly home: string
  /** As the userbase says; else whoever owns the home folder. */
  readonly uid?: number
}

/**
 * A user's own `~/.forward` (section 7, step 5). It counts only when nobody but the user can have written it: mail is not sent
 * on by a file that somebody else put there. A home folder with the sticky bit is being worked on by its owner: later.
 */
export function forwardTargets(files: TextFiles, user: ForwardUser): FileTargets {
  try {
    const home = files.folder(user.home)
    if (home === undefined) return { kind: 'none' }
    if ((home.mode & sticky) !== 0) return unusable(user, 'the home folder is sticky')
    const file = files.read(join(user.home, '.forward'), maximumBytes)
    if (file === undefined) return { kind: 'none' }
    if (file.uid !== (user.uid ?? home.uid)) return unusable(user, '.forward belongs to somebody else')
    if ((file.mode & writableByOthers) !== 0) return unusable(user, 'others may write to .forward')
    if ((home.mode & writableByOthers) !== 0) return unusable(user, 'others may write to the home folder')
    const targets = targetsOfLines(file.text)
    if (targets.length > maximumTargets) return unusable(user, `.forward has more than ${maximumTargets} targets`)
    return targets.length === 0 ? { kind: 'none' } : { kind: 'targets', targets }
  } catch (error) {
    return unusable(user, error instanceof Error ? error.message : String(error))
  }
}

function unusable({ name }: ForwardUser, why: string): FileTargets {
  return { kind: 'unusable', why: `${name}: ${why}` }
}
