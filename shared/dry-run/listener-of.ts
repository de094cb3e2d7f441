import type { Listener } from '../config/model.ts'
import { NotRecorded } from './not-recorded.ts'

/**
 * The listener of smtpd.conf that has a recorded name, `192.0.2.1:25`: by its address or, when it listens on an interface, by its port.
 * @throws NotRecorded when there is none, or several of the port that tag differently
 */
export function listenerOf(listeners: readonly Listener[], name: string): Listener {
  const cut = name.lastIndexOf(':')
  const host = name.slice(0, cut).replaceAll(/[[\]]/g, '')
  const port = Number(name.slice(cut + 1))
  const ofPort = listeners.filter((one) => one.port === port)
  const named = ofPort.find(({ on }) => on === host)
  const [first, ...others] = ofPort
  if (named !== undefined) return named
  if (first === undefined) throw new NotRecorded(`nothing listens on port ${port}`)
  if (others.every(({ tag }) => tag === first.tag)) return first
  throw new NotRecorded(`several listeners have port ${port}`)
}
