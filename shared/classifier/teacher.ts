import type { Logger } from '../log.ts'
import { workerFile } from '../workers/start-worker.ts'
import { createWorkerPool, ownCopy } from '../workers/worker-pool.ts'
import type { WorkerPool } from '../workers/worker-pool.ts'
import type { TeachResult, TeachTask } from './teach-worker.ts'
import type { Lesson, School, Taught } from './teach.ts'

/** Teaches the classifier while mail flows. */
export interface Teacher {
  /** @returns `known`: nothing new; `forged`: not learned, for it failed authentication when it came in */
  teach(content: Uint8Array, lesson: Lesson): Promise<Taught>
  /** @returns whether it was known */
  forget(content: Uint8Array): Promise<boolean>
  /** Ends what is in work; a model that is not done is made after the next lesson. */
  close(): Promise<void>
}

export interface TeacherParts {
  readonly dataFolder: string
  /** In force at this moment. */
  school(): School
  readonly log: Logger
}

const lessonMs = 60_000
const trainingMs = 600_000
const heapMb = 1_024

/** One thread reads and writes what is learned, another makes models of it: no lesson waits for a model. */
export function createTeacher({ dataFolder, school, log }: TeacherParts): Teacher {
  const file = workerFile('./teach-worker.ts', import.meta.url)
  const lessons: WorkerPool<TeachTask, TeachResult> = createWorkerPool({ file, threads: 1, wallMs: lessonMs, heapMb })
  const trainings: WorkerPool<TeachTask, TeachResult> = createWorkerPool({
    file,
    threads: 1,
    wallMs: trainingMs,
    heapMb,
  })
  const stop = new AbortController()
  let training: Promise<void> | undefined
  let changed = false

  async function train(): Promise<void> {
    while (changed && !stop.signal.aborted) {
      changed = false
      try {
        const result = await trainings.run({ kind: 'train', dataFolder }, { signal: stop.signal })
        if (typeof result === 'object' && result.trained !== undefined)
          log.info({ model: result.trained }, 'a new model of what was learned is in force')
      } catch (error) {
        if (!stop.signal.aborted) log.error({ err: error }, 'no model could be made of what was learned')
      }
    }
  }

  function trainLater(): void {
    changed = true
    training ??= train().finally(() => {
      training = undefined
    })
  }

  return {
    async teach(content, lesson) {
      const task = { kind: 'teach', dataFolder, content: ownCopy(content), lesson, school: school() } as const
      const taught = (await lessons.run(task, { signal: stop.signal })) as Taught
      if (taught === 'learned') trainLater()
      return taught
    },
    async forget(content) {
      const task = { kind: 'forget', dataFolder, content: ownCopy(content), school: school() } as const
      const isKnown = (await lessons.run(task, { signal: stop.signal })) === 'forgotten'
      if (isKnown) trainLater()
      return isKnown
    },
    async close() {
      stop.abort(new Error('shutting down'))
      await training
      await Promise.all([lessons.close(), trainings.close()])
    },
  }
}
