/** Into what a file can be looked. */
export type LookKind = 'zip' | 'gzip' | 'tar' | 'rar' | 'ole' | 'message'

export interface FileKind {
  /** As file(1) calls it; absent: nothing that matters. */
  readonly type?: string
  readonly look?: LookKind
  /** An archive of a kind that is not known here. */
  readonly unreadable?: true
}

/** So many octets tell what a file is, or its end. */
export const kindBytes = 512

/** What macros of Office documents are called (the registered type of vbaProject.bin). */
export const macroType = 'application/vnd.ms-office.vbaproject'

interface Magic extends FileKind {
  readonly octets: string
  readonly at?: number
}

const magics: readonly Magic[] = [
  { octets: 'MZ', type: 'application/x-dosexec' },
  { octets: '\x7fELF', type: 'application/x-executable' },
  { octets: '\xcf\xfa\xed\xfe', type: 'application/x-mach-binary' },
  { octets: 'L\0\0\0\x01\x14\x02\0', type: 'application/x-ms-shortcut' },
  { octets: 'PK\x03\x04', type: 'application/zip', look: 'zip' },
  { octets: 'PK\x05\x06', type: 'application/zip', look: 'zip' },
  { octets: '\x1f\x8b\x08', type: 'application/gzip', look: 'gzip' },
  { octets: 'Rar!\x1a\x07', type: 'application/vnd.rar', look: 'rar' },
  { octets: '\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1', type: 'application/x-ole-storage', look: 'ole' },
  { octets: 'ustar', at: 257, type: 'application/x-tar', look: 'tar' },
  { octets: '7z\xbc\xaf\x27\x1c', type: 'application/x-7z-compressed', unreadable: true },
  { octets: '\xfd7zXZ\0', type: 'application/x-xz', unreadable: true },
  { octets: 'BZh', type: 'application/x-bzip2', unreadable: true },
  { octets: '\x28\xb5\x2f\xfd', type: 'application/zstd', unreadable: true },
  { octets: 'MSCF\0\0\0\0', type: 'application/vnd.ms-cab-compressed', unreadable: true },
]

/** What the first octets give away, or the name: programs find the directory of a ZIP archive whatever stands before it. */
export function kindOf(head: Buffer, name: string): FileKind {
  const text = head.toString('latin1', 0, kindBytes)
  const found = magics.find(({ octets, at = 0 }) => text.startsWith(octets, at))
  if (found?.look === undefined && isNamedAsZip(name)) return { ...found, look: 'zip' }
  if (found === undefined && /\.eml$/i.test(name)) return { look: 'message' }
  return found ?? {}
}

/** Windows drops blanks and dots at the end. */
export function isNamedAsZip(name: string): boolean {
  return /\.(?:zip|jar|[dxp][olp][cst][xm])[. ]*$/i.test(name)
}
