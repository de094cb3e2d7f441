import { beginningOf } from '../../shared/beginning-of.ts'
import type { ScanMessage } from './engine.ts'

/** The beginning of a message: a long one is not held in memory for it. */
export function firstOctets(message: ScanMessage, mostBytes: number): Promise<Buffer> {
  return message.sizeBytes <= mostBytes ? message.content() : beginningOf(message.stream(), mostBytes)
}
