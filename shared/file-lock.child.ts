import files from 'node:fs/promises'
import { syncBuiltinESMExports } from 'node:module'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

/** Takes all locks of a folder at once, over a disk that is slow now and then; says of each `taken`, or `not alone`. */
const [folder = '', locks = '0'] = process.argv.slice(2)
const { mkdir, rmdir } = files
const slowed = ['open', 'rm', 'link', 'rename', 'writeFile'] as const
for (const name of slowed) slow(name)
syncBuiltinESMExports()
const { withFileLock } = await import('./file-lock.ts')

await Promise.all(Array.from({ length: Number(locks) }, (_, lock) => take(join(folder, `lock-${lock}`))))

async function take(path: string): Promise<void> {
  await withFileLock(path, async () => {
    const isAlone = await mkdir(`${path}.inside`).then(
      () => true,
      () => false,
    )
    await sleep(200)
    if (isAlone) await rmdir(`${path}.inside`)
    process.stdout.write(isAlone ? 'taken\n' : 'not alone\n')
  })
}

function slow(name: (typeof slowed)[number]): void {
  const real = files[name] as (...words: readonly unknown[]) => Promise<unknown>
  const delayed = async (...words: readonly unknown[]): Promise<unknown> => {
    if (Math.random() < 0.4) await sleep(Math.random() * 500)
    return real(...words)
  }
  Object.assign(files, { [name]: delayed })
}
