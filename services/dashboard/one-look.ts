/** One look for all who ask at the same moment: the gauges of one scrape. */
export function oneLook<T>(look: () => Promise<T>): () => Promise<T> {
  let running: Promise<T> | undefined
  return () => {
    running ??= look().finally(() => {
      running = undefined
    })
    return running
  }
}
