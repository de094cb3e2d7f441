import { chmod, mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

import { freePorts } from './free-port.ts'
import { findPeer } from './peer.ts'
import { startProcess, waitForPort } from './process.ts'
import { tempFolder } from './temp-folder.ts'

export interface Rspamd {
  readonly url: string
  readonly pid: number
  stop(): Promise<void>
}

export interface RspamdOptions {
  readonly workers?: number
  /** On 127.0.0.1; nobody is there when left out. */
  readonly dnsPort?: number
}

/**
 * Debian's Rspamd from a folder of its own: its rules and thresholds, one worker, nobody to ask by DNS; and a rule of ours, by which
 * whoever writes about `forbidden words` is refused.
 */
export async function startRspamd({ workers = 1, dnsPort = 1 }: RspamdOptions = {}): Promise<Rspamd> {
  const folder = await tempFolder('rspamd')
  const [port = 0] = await freePorts(1)
  const at = (name: string) => join(folder.path, name)
  await mkdir(at('data'))
  await chmod(at('data'), 0o777)
  await mkdir(at('local.d'))
  await writeFile(at('local.d/regexp.conf'), '"TEST_FORBIDDEN" { re = "/forbidden words/i{body}"; score = 30.0; }\n')
  await writeFile(at('rspamd.conf'), configuration(at('data'), { port, workers, dnsPort }))
  const asOther = process.getuid?.() === 0 ? ['-u', '_rspamd', '-g', '_rspamd'] : []
  const rspamd = startProcess(
    findPeer('rspamd') ?? 'rspamd',
    ['-f', '-c', at('rspamd.conf'), `--var=LOCAL_CONFDIR=${folder.path}`, ...asOther],
    {
      name: 'rspamd',
    },
  )
  await waitForPort({ port }, rspamd)
  return {
    pid: rspamd.pid,
    url: `http://127.0.0.1:${port}`,
    stop: async () => {
      await rspamd.stop()
      await folder.remove()
    },
  }
}

function configuration(
  folder: string,
  { port, workers, dnsPort }: Required<RspamdOptions> & { readonly port: number },
): string {
  return `.include "$CONFDIR/common.conf"
options {
  enable_test_patterns = true;
  filters = "chartable,dkim,spf,regexp";
  pidfile = "${folder}/pid";
  tempdir = "${folder}";
  dbdir = "${folder}";
  hs_cache_dir = "${folder}";
  control_socket = "${folder}/control mode=0600";
  dns { nameserver = ["127.0.0.1:${dnsPort}"]; timeout = 0.1s; retransmits = 1; }
}
logging { type = "console"; level = "error"; }
worker "normal" { bind_socket = "127.0.0.1:${port}"; count = ${workers}; }
`
}
