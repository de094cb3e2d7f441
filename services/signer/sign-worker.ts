import { signMessage } from '../../shared/dkim/sign.ts'
import type { SigningOptions } from '../../shared/dkim/sign.ts'

/** What is signed; crosses into a thread, key objects included (the key itself is shared, not copied). */
export interface SignTask {
  readonly header: Uint8Array
  readonly body: Uint8Array
  readonly signatures: readonly SigningOptions[]
}

/** Runs in a thread, or in place for what is cheaper than the way there. */
export default function sign(task: SignTask): readonly string[] {
  return signMessage(task.header, task.body, task.signatures)
}
