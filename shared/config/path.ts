import { posix } from 'node:path'

/** A path of a configuration file: relative ones start at the folder of the file that names them. */
export function resolvePath(path: string, namedIn: string): string {
  return posix.resolve(posix.dirname(namedIn), path)
}
