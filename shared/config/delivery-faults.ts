import type { Diagnostic } from './diagnostic.ts'
import type { Action, Configuration } from './model.ts'

interface Fault {
  readonly code: Diagnostic['code']
  readonly message: string
  readonly hint: string
}

/** What an action asks of local delivery and pipeline.conf does not allow it. */
export function deliveryFaults(action: Action, { pipeline }: Configuration): readonly Fault[] {
  if (action.kind !== 'local') return []
  const faults: Fault[] = []
  if (action.method.kind === 'mbox' && pipeline.mailboxes === undefined) {
    faults.push({
      code: 'incomplete',
      message: 'mbox has no folder of mailboxes',
      hint: 'declare it in pipeline.conf: mbox "/var/mail"; or use lmtp or maildir',
    })
  }
  if (action.method.kind === 'mda' && !pipeline.mda.enabled) {
    faults.push({
      code: 'incomplete',
      message: 'commands are not run here',
      hint: 'write `mda enable` in pipeline.conf; or use lmtp or maildir',
    })
  }
  const { alias, virtual, method } = action
  if (method.kind === 'forward-only' && (alias ?? virtual ?? pipeline.forwardFiles) === undefined) {
    faults.push({
      code: 'incomplete',
      message: 'forward-only has nothing that says where mail is passed on to',
      hint: 'add `alias <table>`, or write `forward files "/home"` in pipeline.conf',
    })
  }
  if (action.wrapper !== undefined && action.method.kind !== 'mda') {
    faults.push({
      code: 'conflict',
      message: `there is no command to wrap: ${action.method.kind} runs none`,
      hint: 'remove `wrapper`, or use `mda`',
    })
  }
  return faults
}
