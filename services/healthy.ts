import { hostname } from 'node:os'

import { deadAfterMs, readHeartbeats } from '../shared/heartbeat.ts'

/**
 * For health checks of containers: exit code 0 when every service of this host (a container has a name of its own) spoke of itself lately and has no
 * trouble, else 1 with the reason. `@param` none: the data folder is that of SLUICE_DATA.
 */
const nowAt = Date.now()
const beats = await readHeartbeats(process.env['SLUICE_DATA'] ?? 'var', nowAt)
const mine = beats.filter(({ host, at }) => host === hostname() && nowAt - at <= deadAfterMs)
const troubles = mine.flatMap((beat) => beat.troubles.map((trouble) => `${beat.service}: ${trouble}`))
if (mine.length === 0) troubles.push('no service of this host is alive')
for (const trouble of troubles) process.stdout.write(`${trouble}\n`)
process.exitCode = troubles.length === 0 ? 0 : 1
