import { audit, writeOff } from './audit.ts'
import { banAdd, banList, banRemove } from './ban.ts'
import { blockAdd, blockList, blockRemove } from './block.ts'
import { bulkCancel, bulkList, bulkResume } from './bulk.ts'
import { certificatePut } from './certificate.ts'
import { expire, hold, pause, release, remove, resume, schedule } from './change-queue.ts'
import type { Command } from './command.ts'
import { readdress, reroute } from './change-way.ts'
import { check, config } from './configuration.ts'
import { completionOf } from './completion.ts'
import { convert } from './convert.ts'
import { dkimGenerate, dkimRetire, dkimRotate, dkimStatus } from './dkim-keys.ts'
import { dkimRecordCommand } from './dkim-record.ts'
import { doctor } from './doctor.ts'
import { dryRunCommand } from './dry-run.ts'
import { encrypt } from './encrypt.ts'
import { events } from './events.ts'
import { explainCommand } from './explain.ts'
import { find } from './find.ts'
import { init } from './init.ts'
import { limit } from './limit.ts'
import { learnForget, learnHam, learnSpam, learnStatus, learnTrain } from './learn.ts'
import { reload } from './reload.ts'
import { operatorAdd, operatorList, operatorPassword, operatorRemove } from './operator.ts'
import { preflight } from './preflight.ts'
import { mailboxAdd, mailboxList, mailboxPassword, mailboxRemove } from './mailbox.ts'
import { mailq } from './mailq.ts'
import { rebuild } from './rebuild.ts'
import { reportsList, reportsSend } from './reports.ts'
import { replay } from './replay.ts'
import { scan } from './scan.ts'
import { send } from './send.ts'
import { showDestinations } from './show-destinations.ts'
import { showFilters } from './show-filters.ts'
import { showHeld } from './show-held.ts'
import { showEnvelope } from './show-envelope.ts'
import { showMessage, trace } from './show-message.ts'
import { showStatus } from './show-status.ts'
import { showQueue } from './show-queue.ts'
import { showReports } from './show-reports.ts'
import { showTraffic } from './show-traffic.ts'
import { showRules } from './show-rules.ts'
import { spoolCat, spoolList } from './spool.ts'
import { tableCheck, tableQuery } from './table.ts'
import { tryLogin } from './try-login.ts'
import { tokenCommand } from './token.ts'
import { webhookList, webhookTest } from './webhook.ts'

/** All commands of sluicectl, in the order of the help. */
export const commands: readonly Command[] = [
  showStatus,
  showQueue,
  mailq,
  showMessage,
  showEnvelope,
  showHeld,
  showDestinations,
  showReports,
  showTraffic,
  showRules,
  showFilters,
  find,
  trace,
  events,
  audit,
  writeOff,
  schedule,
  hold,
  release,
  remove,
  expire,
  reroute,
  readdress,
  replay,
  bulkList,
  bulkResume,
  bulkCancel,
  pause,
  resume,
  limit,
  banList,
  banAdd,
  banRemove,
  blockList,
  blockAdd,
  blockRemove,
  rebuild,
  reload,
  send,
  preflight,
  check,
  config,
  convert,
  explainCommand,
  dryRunCommand,
  tableQuery,
  tableCheck,
  learnHam,
  learnSpam,
  learnForget,
  learnStatus,
  learnTrain,
  scan,
  reportsList,
  reportsSend,
  webhookList,
  webhookTest,
  encrypt,
  tryLogin,
  tokenCommand,
  init,
  certificatePut,
  operatorList,
  operatorAdd,
  operatorPassword,
  operatorRemove,
  mailboxList,
  mailboxAdd,
  mailboxPassword,
  mailboxRemove,
  dkimRecordCommand,
  dkimGenerate,
  dkimStatus,
  dkimRotate,
  dkimRetire,
  doctor,
  spoolList,
  spoolCat,
  completionOf(() => commands),
]
