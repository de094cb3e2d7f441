import { beginningOf } from '../beginning-of.ts'
import { mostReadBytes } from '../classifier/readable-mail.ts'
import { failsAuthentication } from '../classifier/teach.ts'
import type { Lesson, Taught } from '../classifier/teach.ts'
import type { MessageId } from '../mail/message-id.ts'
import type { MessageSources } from '../report/message-view.ts'

/** Teaches the classifier by messages that are in the spool. */
export interface SpoolLessons {
  /** @returns `gone`: it is not in the spool any more; `forged`: it failed authentication, and teaches nothing */
  learn(id: MessageId, lesson: Lesson): Promise<Taught | 'gone'>
}

export interface SpoolLessonParts {
  readonly messages: Pick<MessageSources, 'find' | 'story'>
  teach(content: Buffer, lesson: Lesson): Promise<Taught>
}

export function createSpoolLessons({ messages, teach }: SpoolLessonParts): SpoolLessons {
  return {
    async learn(id, lesson) {
      const stored = await messages.find(id)
      if (stored === undefined) return 'gone'
      // As it came in it has no results of ours: the filter told them to its story.
      const verdicts = (await messages.story(id)).filter(({ event }) => event === 'filtered')
      if (verdicts.some(({ authentication: results }) => typeof results === 'string' && failsAuthentication(results)))
        return 'forged'
      return teach(await beginningOf(stored.stream(), mostReadBytes), lesson)
    },
  }
}

/** One sentence about it. */
export function describeLesson(taught: Taught | 'gone', lesson: Lesson): string {
  switch (taught) {
    case 'learned':
      return `learned as ${lesson}`
    case 'known':
      return `known as ${lesson} already`
    case 'forged':
      return 'not learned: it failed authentication when it came in'
    case 'gone':
      return 'not learned: it is not in the spool any more'
  }
}
