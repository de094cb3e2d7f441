import type { HeaderField } from '../../shared/mail/header-edit.ts'
import { applyEdits, headerFields } from '../../shared/mail/header-edit.ts'
import type { StageMessage } from '../../shared/pipeline/stage.ts'

/** Fields of the message as it is delivered: edits applied. */
export async function messageFields(message: StageMessage): Promise<readonly HeaderField[]> {
  return headerFields(applyEdits(await message.stored.header(), message.edits))
}
