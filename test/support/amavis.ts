import { chmod, mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

import { findPeer } from './peer.ts'
import { run, startProcess, waitForPort } from './process.ts'
import { tempFolder } from './temp-folder.ts'

export interface AmavisOptions {
  /** `127.0.0.1` or another address of the machine it runs on; it hands mail back to `returnTo`. */
  readonly address: string
  readonly returnTo: string
  readonly domain: string
  /** Without one nothing is signed. */
  readonly dkimKey?: string
  /** Processes that work; 1. */
  readonly servers?: number
  /** It looks for spam, with SpamAssassin and without network, and for banned files. */
  readonly checks?: boolean
  /** Where it takes mail to be filtered, 10024, and hands it back, 10025. */
  readonly port?: number
  readonly returnPort?: number
  /** In front of the command, to run it elsewhere. */
  readonly prefix?: readonly string[]
}

export interface Amavis {
  readonly pid: number
  stop(): Promise<void>
}

/**
 * Debian's amavisd-new as the seed's tutorial has it: 10024 filters and returns on 10025, 10026 signs and returns on 10027. Its
 * checks of viruses are off, and those of spam unless they are asked for; what it has seen has its Received field.
 */
export async function startAmavis(options: AmavisOptions): Promise<Amavis> {
  const folder = await tempFolder('amavis')
  await chmod(folder.path, 0o755)
  const folders = ['tmp', 'var', 'db'].map((name) => join(folder.path, name))
  for (const path of folders) await mkdir(path)
  await run('chown', ['amavis:amavis', ...folders])
  const file = join(folder.path, 'amavisd.conf')
  await writeFile(file, configuration(folder.path, options))
  const own = [findPeer('amavisd') ?? 'amavisd', '-c', file, 'foreground']
  const [command = '', ...args] = options.prefix === undefined ? own : options.prefix.concat(own)
  const process = startProcess(command, args, { name: 'amavisd' })
  await waitForPort({ port: options.port ?? 10_024, host: options.address }, process)
  return {
    pid: process.pid,
    stop: async () => {
      await process.stop()
      await folder.remove()
    },
  }
}

function configuration(folder: string, options: AmavisOptions): string {
  const { address, returnTo, domain, dkimKey, servers = 1, port = 10_024, returnPort = 10_025 } = options
  const bypass = options.checks === true ? '0' : '1'
  return `use strict;
$max_servers = ${servers};
$max_requests = 100000;
$daemon_user = 'amavis';
$daemon_group = 'amavis';
$myhostname = 'amavis.${domain}';
$mydomain = '${domain}';
@local_domains_maps = (['.${domain}']);
$MYHOME = '${folder}';
$TEMPBASE = '${folder}/tmp';
$QUARANTINEDIR = undef;
$db_home = '${folder}/db';
$enable_db = 0;
$enable_zmq = 0;
$pid_file = '${folder}/var/amavisd.pid';
$lock_file = '${folder}/var/amavisd.lock';
$do_syslog = 0;
$LOGFILE = undef;
$log_level = 2;
@bypass_virus_checks_maps = (1);
@bypass_spam_checks_maps = (${bypass});
@bypass_banned_checks_maps = (${bypass});
$sa_local_tests_only = 1;
$final_virus_destiny = D_PASS;
$final_spam_destiny = D_PASS;
$inet_socket_bind = '${address}';
$inet_socket_port = [${port}, 10026];
@inet_acl = qw(127.0.0.0/8 192.0.2.0/24);
$forward_method = 'smtp:[${returnTo}]:${returnPort}';
$notify_method = 'smtp:[${returnTo}]:${returnPort}';
${dkimKey === undefined ? '' : `$enable_dkim_signing = 1;\ndkim_key('${domain}', 'test', '${dkimKey}');`}
@dkim_signature_options_bysender_maps = ({ '.' => { ttl => 21*24*3600, c => 'relaxed/simple' } });
$interface_policy{'10026'} = 'ORIGINATING';
$policy_bank{'ORIGINATING'} = { originating => 1, forward_method => 'smtp:[${returnTo}]:10027' };
1;
`
}
