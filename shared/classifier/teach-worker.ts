import { teach, trainIfWorth, unteach } from './teach.ts'
import type { Lesson, School, Taught } from './teach.ts'

export type TeachTask = { readonly dataFolder: string } & (
  | { readonly kind: 'teach'; readonly content: Uint8Array; readonly lesson: Lesson; readonly school: School }
  | { readonly kind: 'forget'; readonly content: Uint8Array; readonly school: School }
  | { readonly kind: 'train' }
)

/** `trained`: the version of the model that is in force now. */
export type TeachResult = Taught | 'forgotten' | 'unknown' | { readonly trained: string | undefined }

/** In a thread: what is known of 10,000 messages is 22 MB to read, and a model of them takes 10 s. */
export default async function work(task: TeachTask): Promise<TeachResult> {
  switch (task.kind) {
    case 'teach':
      return teach(task.dataFolder, Buffer.from(task.content), task.lesson, task.school)
    case 'forget':
      return (await unteach(task.dataFolder, Buffer.from(task.content), task.school)) ? 'forgotten' : 'unknown'
    case 'train': {
      const training = await trainIfWorth(task.dataFolder)
      return { trained: training?.kind === 'trained' ? training.model.version : undefined }
    }
  }
}
