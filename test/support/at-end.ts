interface Test {
  after(clean: () => Promise<void>): void
}

const stacks = new WeakMap<Test, (() => unknown)[]>()

/**
 * Cleans up after a test, the last first: what was started on top of something ends before it. (`t.after` alone runs in the
 * order of registration, and stops at the first failure.)
 */
export function atEnd(t: Test, clean: () => unknown): void {
  const known = stacks.get(t)
  if (known !== undefined) {
    known.push(clean)
    return
  }
  const stack = [clean]
  stacks.set(t, stack)
  t.after(() => runBackwards(stack))
}

async function runBackwards(stack: readonly (() => unknown)[]): Promise<void> {
  const failures: unknown[] = []
  for (const clean of stack.toReversed()) {
    try {
      await clean()
    } catch (error) {
      failures.push(error)
    }
  }
  if (failures.length > 0) throw failures[0]
}
