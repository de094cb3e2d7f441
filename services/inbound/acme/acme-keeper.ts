import { readFile } from 'node:fs/promises'

import type { Clock } from '../../../shared/clock.ts'
import type { AcmeSettings } from '../../../shared/config/model.ts'
import type { Logger } from '../../../shared/log.ts'
import { lockInstance } from '../../../shared/start/instance-lock.ts'
import type { InstanceLock } from '../../../shared/start/instance-lock.ts'
import { installCertificate } from './certificate-pair.ts'
import { orderCertificate } from './order-certificate.ts'
import { dueAt } from './renewal.ts'

export interface AcmeParts {
  readonly settings: AcmeSettings
  /** One process of those that share it orders. */
  readonly dataFolder: string
  readonly clock: Clock
  readonly log: Logger
  readonly order?: (settings: AcmeSettings) => Promise<string>
  /** Called when a new certificate is in place. */
  readonly onRenewed: () => Promise<void>
}

export interface AcmeKeeper {
  /** Orders a certificate when one is due; never fails. */
  check(): Promise<void>
  close(): Promise<void>
}

const checkMs = 600_000
/** After the first failure; doubles with each, up to half a day: certificate authorities count failures. */
const retryMs = 600_000
const maxRetryMs = 43_200_000

/** Keeps the certificate of `acme` young. Whatever fails, mail goes on with what is there, and the log says so. */
export function keepCertificate(parts: AcmeParts): AcmeKeeper {
  const { settings, dataFolder, clock, log, order = orderCertificate, onRenewed } = parts
  const { domains, certFile } = settings
  let lock: InstanceLock | undefined
  let failures = 0
  let retryAt = 0
  let running: Promise<void> | undefined
  const timer = setInterval(() => void check(), checkMs)
  timer.unref()

  async function work(): Promise<void> {
    if (clock.now() < retryAt) return
    try {
      if (clock.now() < dueAt(await readFile(certFile, 'utf8'), domains)) return
      lock ??= await lockInstance(dataFolder, 'acme').catch(() => undefined)
      if (lock === undefined) return
      log.info({ domains, directory: settings.directory }, 'a certificate is ordered')
      await installCertificate(settings, await order(settings))
      failures = 0
      log.info({ domains, certificate: certFile }, 'certificate ordered')
      await onRenewed()
      log.info({ domains }, 'certificate in use')
    } catch (error) {
      const waitMs = Math.min(maxRetryMs, retryMs * 2 ** failures)
      failures += 1
      retryAt = clock.now() + waitMs
      log.error({ err: error, domains, nextInMs: waitMs }, 'certificate cannot be ordered; the one that is there stays')
    }
  }

  function check(): Promise<void> {
    running ??= work().finally(() => (running = undefined))
    return running
  }

  return {
    check,
    async close() {
      clearInterval(timer)
      await running
      await lock?.release()
    },
  }
}
