import { stat } from 'node:fs/promises'
import { join } from 'node:path'

import type { HeaderField } from '../../shared/mail/header-edit.ts'
import { fieldValue } from '../../shared/mail/header-edit.ts'

export interface FolderChoice {
  /** The Maildir itself. */
  readonly maildir: string
  readonly subAddress?: string
  /** `junk` of the action. */
  readonly junk: boolean
  readonly fields: readonly HeaderField[]
}

/** The folder below a Maildir: `.Junk` for what is marked as spam, `.tag` for a sub-address that has such a folder. */
export async function maildirFolder({ maildir, subAddress, junk, fields }: FolderChoice): Promise<string> {
  if (junk && isMarkedAsSpam(fields)) return join(maildir, '.Junk')
  if (subAddress === undefined || !isFolderName(subAddress)) return maildir
  const folder = join(maildir, `.${subAddress}`)
  return (await isDirectory(folder)) ? folder : maildir
}

function isMarkedAsSpam(fields: readonly HeaderField[]): boolean {
  return fields.some(
    (field) => (field.name === 'x-spam' || field.name === 'x-spam-flag') && fieldValue(field).toLowerCase() === 'yes',
  )
}

/** A sub-address comes from a stranger: it names one folder below the Maildir, or none. */
function isFolderName(text: string): boolean {
  return !/^\.|[/\0]/.test(text) && Buffer.byteLength(text) < 200
}

async function isDirectory(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isDirectory()
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false
    throw error
  }
}
