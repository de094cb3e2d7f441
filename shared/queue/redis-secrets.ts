import { readFile } from 'node:fs/promises'

import type { PipelineSettings } from '../config/model.ts'
import type { RedisSecrets } from './redis-address.ts'

/** The passwords whose files pipeline.conf's line `redis` names; read at each start. */
export async function readRedisSecrets(redis: PipelineSettings['redis']): Promise<RedisSecrets> {
  const [password, sentinelPassword] = await Promise.all([
    readSecret(redis?.passwordFile),
    readSecret(redis?.sentinelPasswordFile),
  ])
  return {
    ...(password === undefined ? {} : { password }),
    ...(sentinelPassword === undefined ? {} : { sentinelPassword }),
  }
}

async function readSecret(file: string | undefined): Promise<string | undefined> {
  return file === undefined ? undefined : (await readFile(file, 'utf8')).trim()
}
