import type { DnsServer } from '../support/dns.ts'
import { MailSystem } from '../support/mail-system.ts'
import { startPostfix } from '../support/postfix.ts'
import type { Job } from './series.ts'

/** Something that accepts mail on a port and hands it on to a sink. */
export interface SystemUnderTest {
  readonly port: number
  /** Roots of the process trees whose time and memory count. */
  readonly pids: readonly number[]
  stop(): Promise<void>
}

export interface SystemOptions {
  readonly job: Job
  /** SMTP for `relay`, LMTP for `inbound`. */
  readonly sinkPort: number
  readonly dns: DnsServer
  /** Folder for CPU profiles of node. */
  readonly profileFolder?: string
  readonly logFile: string
}

export type SystemName = 'postfix' | 'sluice' | 'sluice-processes'

export const systems: Readonly<Record<SystemName, (options: SystemOptions) => Promise<SystemUnderTest>>> = {
  postfix,
  sluice: (options) => sluice(options, 'embedded'),
  'sluice-processes': (options) => sluice(options, 'processes'),
}

export const recipient = 'someone@bench.test'

async function postfix({ job, sinkPort }: SystemOptions): Promise<SystemUnderTest> {
  const transport = job === 'relay' ? `smtp:[127.0.0.1]:${sinkPort}` : `lmtp:inet:127.0.0.1:${sinkPort}`
  const instance = await startPostfix({ transport })
  return { port: instance.port, pids: [instance.masterPid], stop: () => instance.stop() }
}

async function sluice(options: SystemOptions, services: 'embedded' | 'processes'): Promise<SystemUnderTest> {
  const { profileFolder } = options
  const system = await MailSystem.start({
    conf: options.job === 'relay' ? relayConf(options.sinkPort) : inboundConf(options.sinkPort),
    pipeline: `queue "filter" tag Filtered\nusers from any\nresolver "${options.dns.address}"\n`,
    services,
    processes: options.job === 'relay' ? { filter: 0, signer: 0, delivery: 0 } : { signer: 0, relay: 0 },
    logFile: options.logFile,
    nodeArguments: profileFolder === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${profileFolder}`],
  })
  return { port: system.port('smtp'), pids: system.pids, stop: () => system.stop() }
}

function relayConf(sinkPort: number): string {
  return `listen on 127.0.0.1 port {{smtp}}
smtp limit max-mails 1000000
action "out" relay host "smtp+notls://127.0.0.1:${sinkPort}"
match from any for any action "out"
`
}

function inboundConf(sinkPort: number): string {
  return `listen on 127.0.0.1 port {{smtp}}
smtp limit max-mails 1000000
action "scan" relay host "queue://filter"
action "in" lmtp "127.0.0.1:${sinkPort}" rcpt-to
match tag Filtered from any for domain "bench.test" action "in"
match from any for domain "bench.test" action "scan"
`
}
