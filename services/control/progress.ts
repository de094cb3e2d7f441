const width = 30
const everyMs = 100

/** A bar on a terminal, below what is printed; nothing where there is none. */
export interface Progress {
  /** @param done of what `total` counts */
  show(done: number, text: string): void
  /** Before something is printed, and at the end. */
  clear(): void
}

/** @param total unknown when undefined: then only the text is shown. */
export function createProgress(
  stream: { readonly isTTY?: boolean; write(text: string): unknown },
  total: number | undefined,
  now: () => number = () => performance.now(),
): Progress {
  if (stream.isTTY !== true) return { show: () => {}, clear: () => {} }
  let shownAt = Number.NEGATIVE_INFINITY
  let isShown = false
  return {
    show(done, text) {
      if (now() - shownAt < everyMs) return
      shownAt = now()
      isShown = true
      stream.write(`\r\u001b[K${barOf(done, total)}${text}`)
    },
    clear() {
      if (isShown) stream.write('\r\u001b[K')
      isShown = false
    },
  }
}

/** `[#####.....]  50 %  ` */
function barOf(done: number, total: number | undefined): string {
  if (total === undefined || total <= 0) return ''
  const share = Math.min(1, done / total)
  const filled = Math.round(share * width)
  const percent = Math.floor(share * 100)
    .toString()
    .padStart(3)
  return `[${'#'.repeat(filled)}${'.'.repeat(width - filled)}] ${percent} %  `
}
