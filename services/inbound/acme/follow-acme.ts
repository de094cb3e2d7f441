import type { AcmeSettings, Configuration } from '../../../shared/config/model.ts'
import type { ServiceContext } from '../../../shared/service.ts'
import { keepCertificate } from './acme-keeper.ts'
import type { AcmeKeeper } from './acme-keeper.ts'

/** Keeps the certificate that the configuration in force asks for; @param onRenewed looks at the files of certificates again */
export function followAcme(
  context: Pick<ServiceContext, 'configuration' | 'live' | 'dataFolder' | 'clock' | 'log'>,
  onRenewed: () => Promise<void>,
): { close(): Promise<void> } {
  const { live, dataFolder, clock, log } = context
  let settings = context.configuration.pipeline.acme
  let keeper = open(settings)
  let closed = false

  function open(next: AcmeSettings | undefined): AcmeKeeper | undefined {
    const opened =
      next === undefined ? undefined : keepCertificate({ settings: next, dataFolder, clock, log, onRenewed })
    void opened?.check()
    return opened
  }

  function change({ pipeline }: Configuration): void {
    if (JSON.stringify(pipeline.acme) === JSON.stringify(settings)) return
    const before = keeper
    settings = pipeline.acme
    keeper = undefined
    void replace(before, settings)
  }

  async function replace(before: AcmeKeeper | undefined, next: AcmeSettings | undefined): Promise<void> {
    await before?.close()
    if (next === settings && !closed) keeper = open(next)
  }

  const unfollow = live.follow({
    prepare: (next) => Promise.resolve({ commit: () => change(next), abandon: () => Promise.resolve() }),
  })
  return {
    async close() {
      closed = true
      unfollow()
      await keeper?.close()
    },
  }
}
