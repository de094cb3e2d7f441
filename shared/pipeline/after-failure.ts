import type { QueueSettings } from '../config/model.ts'
import { hold, pass, reject } from '../mail/disposition.ts'
import type { Disposition } from '../mail/disposition.ts'
import { replies } from '../mail/reply.ts'
import type { Reply } from '../mail/reply.ts'
import { tag } from '../mail/tag.ts'

/**
 * What becomes of a message after an attempt in which the stage itself failed: on without the stage, again later, or no more, for an
 * operator to decide.
 * @param message `attempts` before this one
 * @param reply what the story says while it waits
 */
export function afterFailure(
  settings: Pick<QueueSettings, 'attempts' | 'name' | 'onFailure' | 'tag'> | undefined,
  { attempts }: { readonly attempts: number },
  error: Error,
  reply: Reply = replies.tryLater,
): Disposition {
  if (settings?.onFailure === 'proceed') return pass(tag(settings.tag))
  const made = attempts + 1
  if (settings?.attempts === undefined || made < settings.attempts) return reject(reply)
  return hold(`${settings.name} failed at attempt ${made}: ${error.message}`)
}
