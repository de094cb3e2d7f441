import type { FoundReports } from './read-reports.ts'
import { readReports } from './read-reports.ts'

/** In a thread: what strangers packed is unpacked and read there, and takes no more time and memory than it may. */
export default function read(content: Uint8Array): FoundReports {
  return readReports(Buffer.from(content.buffer, content.byteOffset, content.byteLength))
}
