import { TextDecoder } from 'node:util'
import { gunzipSync, inflateRawSync } from 'node:zlib'

import { ReportFault } from './values.ts'
import { onlyFileOf } from './zip-file.ts'

/** More is no report: those of the largest senders have a tenth of it. */
export const mostUnpackedBytes = 50 * 1024 * 1024
/** Reports are all alike within and shrink to a fiftieth; what shrinks more than this is meant to hurt. */
const mostRatio = 300
/** Small ones may. */
const alwaysBytes = 1024 * 1024

const gzipMagic = Buffer.from([0x1f, 0x8b])
const zipMagic = Buffer.from('PK\x03\x04', 'latin1')

/** Whether the octets begin as a report does, packed or not. */
export function mayBeReport(octets: Buffer): boolean {
  return (
    isPacked(octets) ||
    /^[\s\u0000]*[<{]/.test(octets.toString('latin1', 0, 64).replace(/^(?:\xef\xbb\xbf|\xff\xfe|\xfe\xff)/, ''))
  )
}

/** The text in a gzip file, a ZIP archive of one file, or the octets themselves. @throws ReportFault */
export function unpack(octets: Buffer): string {
  return textOfOctets(isPacked(octets) ? inflated(octets) : octets)
}

function isPacked(octets: Buffer): boolean {
  return startsWith(octets, gzipMagic) || startsWith(octets, zipMagic)
}

function inflated(octets: Buffer): Buffer {
  const isGzip = startsWith(octets, gzipMagic)
  const packed = isGzip ? octets : onlyFileOf(octets)
  if (!Buffer.isBuffer(packed)) return packed.stored
  const maxOutputLength = Math.min(mostUnpackedBytes, Math.max(alwaysBytes, mostRatio * packed.length))
  try {
    return isGzip ? gunzipSync(packed, { maxOutputLength }) : inflateRawSync(packed, { maxOutputLength })
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    if (code === 'ERR_BUFFER_TOO_LARGE')
      throw new ReportFault(`it unpacks to more than ${maxOutputLength} octets`, { cause: error })
    throw new ReportFault(`it cannot be unpacked: ${message}`, { cause: error })
  }
}

/** UTF-16 where the octets show it, whatever the text says of itself; else what XML declares, else UTF-8. */
function textOfOctets(octets: Buffer): string {
  if (octets.length > mostUnpackedBytes) throw new ReportFault(`it has more than ${mostUnpackedBytes} octets`)
  const [first, second] = octets
  if ((first === 0xff && second === 0xfe) || second === 0) return new TextDecoder('utf-16le').decode(octets)
  if ((first === 0xfe && second === 0xff) || first === 0) return new TextDecoder('utf-16be').decode(octets)
  const [, declared = 'utf-8'] =
    /^[^>]{0,100}\sencoding=["']([\w-]{1,40})/.exec(octets.toString('latin1', 0, 200)) ?? []
  return decoderOf(declared).decode(octets)
}

function decoderOf(declared: string): TextDecoder {
  if (/^utf-?(?:8|16)/i.test(declared)) return new TextDecoder()
  try {
    return new TextDecoder(declared)
  } catch {
    return new TextDecoder()
  }
}

function startsWith(octets: Buffer, beginning: Buffer): boolean {
  return octets.subarray(0, beginning.length).equals(beginning)
}
