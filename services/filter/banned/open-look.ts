import { EndLook } from './end-look.ts'
import type { LookKind } from './file-kind.ts'
import { GzipLook } from './gzip-look.ts'
import { MessageLook } from './message-look.ts'
import { OleLook } from './ole-look.ts'
import { RarLook } from './rar-look.ts'
import { within } from './search.ts'
import type { Look, OpenLook, Place, Search } from './search.ts'
import { TarLook } from './tar-look.ts'
import { ZipLook } from './zip-look.ts'

/** By what its first octets say, and by its end: programs differ in where they begin to read. */
export const openLook: OpenLook = (search, kind, name, place) => {
  if (kind === 'zip') return lookOf(search, kind, name, place)
  const looks = [...(kind === undefined ? [] : [lookOf(search, kind, name, place)]), new EndLook(search, name, place)]
  return {
    async write(octets) {
      for (const look of looks) await look.write(octets)
    },
    async end() {
      for (const look of looks) await look.end()
    },
  }
}

/** Each kind of file by its reader. */
function lookOf(search: Search, kind: LookKind, name: string, place: Place): Look {
  switch (kind) {
    case 'zip':
      return new ZipLook(search, search.enter(name, place))
    case 'gzip':
      return new GzipLook(search, name, search.enter(name, place))
    case 'tar':
      return new TarLook(search, search.enter(name, place))
    case 'rar':
      return new RarLook(search, search.enter(name, place))
    case 'message':
      return new MessageLook(search, search.enter(name, place))
    case 'ole':
      return new OleLook(search, within(name, place))
  }
}
