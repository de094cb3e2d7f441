import type { Teacher } from '../../shared/classifier/teacher.ts'
import type { Lesson } from '../../shared/classifier/teach.ts'
import { OperationError } from '../../shared/operate/operation-error.ts'
import { describeLesson } from '../../shared/operate/spool-lessons.ts'
import type { Action } from './actions.ts'

/** What a program may teach the classifier by a message that it sends along. */
export function learnActions(teacher: Pick<Teacher, 'teach' | 'forget'>): readonly Action<Buffer>[] {
  return [
    { path: 'ham', name: 'learn ham', run: (mail) => learnAs(teacher, mail, 'ham') },
    { path: 'spam', name: 'learn spam', run: (mail) => learnAs(teacher, mail, 'spam') },
    {
      path: 'forget',
      name: 'forget message',
      run: async (mail) => ((await teacher.forget(mail)) ? 'forgotten' : 'it was not known'),
    },
  ]
}

async function learnAs(teacher: Pick<Teacher, 'teach'>, mail: Buffer, lesson: Lesson): Promise<string> {
  const taught = await teacher.teach(mail, lesson)
  if (taught === 'forged') throw new OperationError(describeLesson(taught, lesson))
  return describeLesson(taught, lesson)
}
