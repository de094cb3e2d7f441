import { readFileSync } from 'node:fs'

/** With the line ends they have on the wire. */
export function readMessages(files: readonly string[]): readonly Buffer[] {
  return files.map((file) => Buffer.from(readFileSync(file, 'latin1').replaceAll(/\r?\n/g, '\r\n'), 'latin1'))
}

/** Of a sorted list; 0 of none. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((one, other) => one - other)
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0
}
