import type { BareLineEnds, SessionSettings } from '../../shared/config/session-rules.ts'

/** How the sessions of a listener behave: `banner`, `helo required`, `vrfy` and `bare-line-ends` of pipeline.conf. */
export interface Manners {
  /** Behind 220, by our name in the session. */
  readonly greeting: (hostname: string) => string
  readonly heloRequired: boolean
  readonly vrfy: boolean
  readonly bareLineEnds: BareLineEnds
}

export function mannersOf({ banner, heloRequired = true, vrfy = true, bareLineEnds }: SessionSettings): Manners {
  return {
    greeting: (hostname) => (banner === undefined ? `${hostname} ESMTP` : banner.replaceAll('%{hostname}', hostname)),
    heloRequired,
    vrfy,
    // Among strangers they smuggle; an own user's client is only sloppy.
    bareLineEnds: bareLineEnds ?? 'repair-users',
  }
}
