import { sealMessage } from '../../shared/dkim/seal.ts'
import type { SealingOptions } from '../../shared/dkim/seal.ts'
import { signMessage } from '../../shared/dkim/sign.ts'
import type { BodyDigests, SigningOptions } from '../../shared/dkim/sign.ts'

/** What is signed; crosses into a thread, key objects included (the key itself is shared, not copied). */
export interface SignTask {
  readonly header: Uint8Array
  /** Its digests for one that is too large to be carried around. */
  readonly body: Uint8Array | BodyDigests
  readonly signatures: readonly SigningOptions[]
  readonly seal?: SealingOptions
}

/** What goes on top of the message. */
export interface Signed {
  readonly signatures: readonly string[]
  /** An ARC set that signs the signatures, too; absent: none was asked for, or the chain is not what was said. */
  readonly seal?: string
}

/** Runs in a thread, or in place for what is cheaper than the way there. */
export default function sign(task: SignTask): Signed {
  const { header, body } = task
  const signatures = signMessage(header, body, task.signatures)
  if (task.seal === undefined) return { signatures }
  const seal = sealMessage(Buffer.concat([Buffer.from(signatures.join('')), header]), body, task.seal)
  return { signatures, ...(seal === undefined ? {} : { seal }) }
}
