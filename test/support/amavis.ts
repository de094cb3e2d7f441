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
  readonly dkimKey: string
  /** In front of the command, to run it elsewhere. */
  readonly prefix?: readonly string[]
}

export interface Amavis {
  stop(): Promise<void>
}

/**
 * Debian's amavisd-new as the seed's tutorial has it: 10024 filters and returns on 10025, 10026 signs and returns on 10027. Its
 * checks of viruses and spam are off; what it has seen has its Received field.
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
  await waitForPort({ port: 10_024, host: options.address }, process)
  return {
    stop: async () => {
      await process.stop()
      await folder.remove()
    },
  }
}

function configuration(folder: string, { address, returnTo, domain, dkimKey }: AmavisOptions): string {
  return `use strict;
$max_servers = 1;
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
@bypass_spam_checks_maps = (1);
@bypass_banned_checks_maps = (1);
$final_virus_destiny = D_PASS;
$final_spam_destiny = D_PASS;
$inet_socket_bind = '${address}';
$inet_socket_port = [10024, 10026];
@inet_acl = qw(127.0.0.0/8 192.0.2.0/24);
$forward_method = 'smtp:[${returnTo}]:10025';
$notify_method = 'smtp:[${returnTo}]:10025';
$enable_dkim_signing = 1;
dkim_key('${domain}', 'test', '${dkimKey}');
@dkim_signature_options_bysender_maps = ({ '.' => { ttl => 21*24*3600, c => 'relaxed/simple' } });
$interface_policy{'10026'} = 'ORIGINATING';
$policy_bank{'ORIGINATING'} = { originating => 1, forward_method => 'smtp:[${returnTo}]:10027' };
1;
`
}
