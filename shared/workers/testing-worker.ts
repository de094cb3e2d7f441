import { threadId } from 'node:worker_threads'

/** A worker that does what tests need to see: work, throw, hang, eat memory. */
export type TestTask =
  | { readonly kind: 'length'; readonly octets: Uint8Array }
  | { readonly kind: 'thread' }
  | { readonly kind: 'throw' }
  | { readonly kind: 'hang' }
  | { readonly kind: 'eat' }

export default function work(task: TestTask): number {
  switch (task.kind) {
    case 'length':
      return task.octets.length
    case 'thread':
      return threadId
    case 'throw':
      throw new RangeError('as asked')
    case 'hang':
      for (;;);
    case 'eat': {
      const eaten: number[][] = []
      for (;;) eaten.push(Array<number>(100_000).fill(eaten.length))
    }
  }
}
