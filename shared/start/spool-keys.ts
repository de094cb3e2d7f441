import { readFile } from 'node:fs/promises'

import type { Configuration } from '../config/model.ts'
import { BucketError } from '../spool/bucket/object-store.ts'
import { Keyring, SpoolKeyError, parseKeyFile } from '../spool/keyring.ts'
import { StartError } from './start-error.ts'

/** The keys of the spool: those of the key file, then the one of smtpd.conf. @throws StartError when the file cannot be used */
export async function readSpoolKeys({ pipeline, atRest }: Configuration): Promise<Keyring> {
  const keyFile = pipeline.spool?.keyFile
  const secrets = keyFile === undefined ? [] : await readKeyFile(keyFile)
  return new Keyring(atRest.key === undefined ? secrets : [...secrets, Buffer.from(atRest.key)])
}

/** What opening the spool failed of, told the operator: a key that is missing is for him to mend. */
export function asStartError(error: unknown): unknown {
  if (error instanceof BucketError) return new StartError(error.message, { cause: error })
  if (!(error instanceof SpoolKeyError)) return error
  const hint =
    'nothing is lost: name a file with this key behind the others in pipeline.conf: spool "/path" key file "/path"'
  return new StartError(`${error.message}; ${hint}`, { cause: error, exitCode: 78 })
}

async function readKeyFile(path: string): Promise<readonly Buffer[]> {
  try {
    return parseKeyFile(await readFile(path, 'utf8'))
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    throw new StartError(`the key file of the spool, ${path}, cannot be used: ${reason}`, {
      cause: error,
      exitCode: 78,
    })
  }
}
