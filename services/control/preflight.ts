import { X509Certificate } from 'node:crypto'
import { constants } from 'node:fs'
import { access, readFile, statfs } from 'node:fs/promises'

import { renderDiagnostic } from '../../shared/config/diagnostic.ts'
import { ConfigurationError } from '../../shared/config/load.ts'
import type { Configuration } from '../../shared/config/model.ts'
import { notesOf, readHeartbeats } from '../../shared/heartbeat.ts'
import { isReadableJob, jobSchema } from '../../shared/queue/job.ts'
import type { Queues } from '../../shared/queue/queues.ts'
import { describeAddress } from '../../shared/queue/redis-address.ts'
import { formatSize, plural } from '../../shared/report/units.ts'
import { systemClock } from '../../shared/clock.ts'
import { BucketVolume } from '../../shared/spool/bucket/bucket-volume.ts'
import { tryBucket } from '../../shared/spool/bucket/try-bucket.ts'
import { LiveIndex } from '../../shared/spool/live-index.ts'
import { readSpoolKeys } from '../../shared/start/spool-keys.ts'
import { exitCodes } from './command.ts'
import type { Command, Invocation } from './command.ts'
import type { Colour } from './terminal.ts'
import { connectQueues, findPlace } from './connect.ts'
import type { Place } from './connect.ts'
import type { Finding } from './finding.ts'
import { storeFinding } from './store-finding.ts'

export const preflight: Command = {
  words: ['preflight'],
  operands: [],
  summary:
    'whether this version can take over: configuration, spool, jobs, Redis, message store, certificates; changes nothing; exit code 1 when it cannot',
  run,
}

const dayMs = 86_400_000
const soonDays = 14
const littleBytes = 1_073_741_824
const skewLimitMs = 30_000
const jobsLookedAt = 5_000

async function run(invocation: Invocation): Promise<number> {
  const { terminal, options } = invocation
  const findings: Finding[] = [nodeVersion(process.versions.node)]
  const place = await configuration(invocation, findings)
  if (place !== undefined) {
    findings.push(
      await dataFolder(place.dataFolder),
      await spool(place),
      ...(await queuesAndRedis(invocation, place)),
      ...(await storeFinding(place.configuration)),
      ...(await certificates(place.configuration)),
      ...(await notes(place.dataFolder)),
    )
  }
  const ready = findings.every(({ verdict }) => verdict !== 'bad')
  if (options.has('json')) terminal.print(JSON.stringify({ ready, findings }, undefined, 2))
  else {
    for (const { about, verdict, text } of findings) {
      const [word, colour] = marks[verdict]
      terminal.print(`${terminal.paint(colour, word)} ${about.padEnd(13)} ${text}`)
    }
    terminal.print(ready ? 'ready to take over' : 'NOT ready: mend what is bad, nothing was changed')
  }
  return ready ? exitCodes.done : exitCodes.failed
}

const marks: Readonly<Record<Finding['verdict'], readonly [word: string, colour: Colour]>> = {
  good: ['good', 'green'],
  look: ['look', 'yellow'],
  bad: ['BAD ', 'red'],
}

function nodeVersion(version: string): Finding {
  const [major = 0, minor = 0] = version.split('.').map(Number)
  const fits = major > 20 || (major === 20 && minor >= 18)
  return {
    about: 'node',
    verdict: fits ? 'good' : 'bad',
    text: fits ? version : `${version}: 20.18 or newer is needed`,
  }
}

async function configuration(invocation: Invocation, findings: Finding[]): Promise<Place | undefined> {
  const about = 'configuration'
  try {
    const place = await findPlace(invocation)
    const { revision } = place.configuration
    const told = place.warnings.length
    const text = told === 0 ? `revision ${revision}` : `revision ${revision}, ${plural(told, 'warning')}: see 'check'`
    findings.push({ about, verdict: told === 0 ? 'good' : 'look', text })
    return place
  } catch (error) {
    if (!(error instanceof ConfigurationError)) throw error
    findings.push({ about, verdict: 'bad', text: error.diagnostics.map((one) => renderDiagnostic(one)).join('\n') })
    return undefined
  }
}

async function dataFolder(path: string): Promise<Finding> {
  const about = 'data folder'
  try {
    await access(path, constants.W_OK)
  } catch {
    return { about, verdict: 'bad', text: `${path} cannot be written by this user` }
  }
  const { bavail, bsize } = await statfs(path)
  const freeBytes = bavail * bsize
  const text = `${path}, ${formatSize(freeBytes)} free`
  return { about, verdict: freeBytes < littleBytes ? 'look' : 'good', text }
}

/** Every record's head, and every message that is not settled: keys and compression are tried. */
async function spool({ openVolume, configuration: inForce }: Place): Promise<Finding> {
  const about = 'spool'
  const volume = await openVolume()
  if (await volume.isEmpty()) return { about, verdict: 'good', text: 'no messages yet' }
  const bucket = volume instanceof BucketVolume ? await bucketFinding(volume) : undefined
  if (bucket?.verdict === 'bad') return bucket
  const damages: string[] = []
  const index = await LiveIndex.open(volume, {
    onDamage: ({ segment, offset, reason }) => damages.push(`${segment} at ${offset}: ${reason}`),
  })
  const live = [...index.entries()]
  await index.close()
  const keyring = await readSpoolKeys(inForce)
  const reader = volume.reader({ openFiles: 0, keyring })
  for (const { id, locator } of live) {
    await reader
      .read(locator)
      .then((stored) => stored.header())
      .catch((error: unknown) => damages.push(`${id}: ${(error as Error).message}`))
  }
  if (damages.length > 0) return { about, verdict: 'bad', text: damages.join('\n') }
  const sealed = inForce.pipeline.spool?.keyFile === undefined ? '' : ', with the keys at hand'
  const text = `${plural(live.length, 'message')} not settled, all readable${sealed}`
  return bucket === undefined
    ? { about, verdict: 'good', text }
    : { about, verdict: bucket.verdict, text: `${text}; ${bucket.text}` }
}

/** Writes, reads, lists and deletes an object of no meaning. */
async function bucketFinding({ store }: BucketVolume): Promise<Finding> {
  const about = 'spool'
  try {
    const { putMs, aheadMs } = await tryBucket(store, systemClock)
    const skewed = Math.abs(aheadMs) > skewLimitMs
    const clock = skewed ? `; the clock of this host is ${Math.round(aheadMs / 1000)} s off: set it (chrony)` : ''
    return { about, verdict: skewed ? 'look' : 'good', text: `${store.name} stores in ${putMs} ms${clock}` }
  } catch (error) {
    return { about, verdict: 'bad', text: (error as Error).message }
  }
}

/** What the services that run now have to say. */
async function notes(path: string): Promise<readonly Finding[]> {
  const nowAt = Date.now()
  const beats = await readHeartbeats(path, nowAt)
  return notesOf(beats, nowAt).map((text) => ({ about: 'clients', verdict: 'look', text }))
}

async function queuesAndRedis(invocation: Invocation, place: Place): Promise<readonly Finding[]> {
  const { queues, answers, address } = await connectQueues(invocation, place)
  try {
    if (!answers) {
      const text = `${describeAddress(address)} does not answer: mail will wait on disk until it does`
      return [{ about: 'Redis', verdict: 'look', text }]
    }
    const found = await jobs(queues)
    // Asked for when the connection stood: before the jobs.
    return [redis(queues), found]
  } finally {
    await queues.close()
  }
}

function redis({ redis: report }: Queues): Finding {
  const about = 'Redis'
  if (report === undefined) return { about, verdict: 'look', text: 'it says nothing about itself' }
  const { server, version, refusals, warnings } = report
  if (refusals.length > 0) return { about, verdict: 'bad', text: refusals.join('\n') }
  return {
    about,
    verdict: warnings.length > 0 ? 'look' : 'good',
    text: [`${server} ${version}`, ...warnings].join('; '),
  }
}

async function jobs(queues: Queues): Promise<Finding> {
  const about = 'jobs'
  const unknown = new Map<number, number>()
  let count = 0
  for (const queue of queues.names) {
    for (const { data } of await queues.list(queue, ['waiting', 'active', 'delayed'], 0, jobsLookedAt - 1)) {
      count += 1
      if (!isReadableJob(data)) unknown.set(data.v, (unknown.get(data.v) ?? 0) + 1)
    }
  }
  if (unknown.size === 0) return { about, verdict: 'good', text: `${plural(count, 'job')} of schema ${jobSchema}` }
  const which = [...unknown].map(([schema, of]) => `${of} of schema ${schema}`).join(', ')
  const text = `${which}: a newer version made them; this one (schema ${jobSchema}) would leave them waiting`
  return { about, verdict: 'bad', text }
}

async function certificates({ pkis }: Configuration): Promise<readonly Finding[]> {
  const findings: Finding[] = []
  for (const { name, cert } of pkis.values()) {
    const about = `pki ${name}`
    try {
      const endsAt = Date.parse(new X509Certificate(await readFile(cert)).validTo)
      const days = Math.floor((endsAt - Date.now()) / dayMs)
      const text = days < 0 ? `${cert} has expired` : `${cert} is valid for ${plural(days, 'day')}`
      findings.push({ about, verdict: days < soonDays ? 'look' : 'good', text })
    } catch (error) {
      findings.push({ about, verdict: 'bad', text: `${cert}: ${(error as Error).message}` })
    }
  }
  return findings
}
