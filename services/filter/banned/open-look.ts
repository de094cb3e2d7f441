import { GzipLook } from './gzip-look.ts'
import { MessageLook } from './message-look.ts'
import { OleLook } from './ole-look.ts'
import { RarLook } from './rar-look.ts'
import { within } from './search.ts'
import type { OpenLook } from './search.ts'
import { TarLook } from './tar-look.ts'
import { ZipLook } from './zip-look.ts'

/** Each kind of file by its reader. */
export const openLook: OpenLook = (search, kind, name, place) => {
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
