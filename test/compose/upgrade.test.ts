import assert from 'node:assert/strict'
import { readdir } from 'node:fs/promises'
import { after, before, describe, test } from 'node:test'

import { tempFolder } from '../support/temp-folder.ts'
import { Elsewhere } from './elsewhere.ts'
import { eventually, missingEngine } from './engine.ts'
import { cameOnce, Load, stranger } from './mail.ts'
import { ComposeProject, thisVersion, type Version } from './project.ts'
import { versionAfter, versionBefore } from './versions.ts'

describe('docker compose up -d, from one version to the next', { skip: missingEngine() }, () => {
  let old: Awaited<ReturnType<typeof versionBefore>>
  let project: ComposeProject
  let elsewhere: Elsewhere
  before(async () => {
    await new ComposeProject().build()
    old = await versionBefore()
    project = await ComposeProject.start(old)
    elsewhere = await Elsewhere.publish(project)
  })
  after(async () => {
    await project?.remove()
    await old?.remove()
  })

  /** Of one version from now on, all others as they are. */
  async function replace(version: Version, ...services: readonly string[]): Promise<void> {
    project.version = version
    await project.up('--no-build', '--no-deps', ...services)
  }

  /** Mail that waits for a service, by whatever version took it. */
  async function waits(service: string, ...ids: readonly string[]): Promise<void> {
    await project.compose('stop', service)
    for (const id of ids) assert.match((await project.mail.send(id)).raw, /^250 /)
  }

  test('each version takes what the other has begun, while mail comes and goes, and nothing is lost', async () => {
    const inwards = new Load(project.mail, 'in', [{}, {}])
    const outwards = new Load(project.mail, 'out', [{ as: 'user', to: stranger }])
    await inwards.more(5)

    await waits('filter', 'old-1', 'old-2')
    await replace(thisVersion, 'filter')
    await project.mail.arrives(['old-1', 'old-2'])

    await replace(thisVersion, 'inbound')
    await waits('filter', 'new-1', 'new-2')
    await replace(old, 'filter')
    await project.mail.arrives(['new-1', 'new-2'])

    project.version = thisVersion
    await project.compose('run', '--rm', '--no-deps', '--entrypoint', 'sluicectl', 'ledger', 'preflight')
    await project.up('--no-build')
    await inwards.more(5)
    await outwards.more(2)
    const [came, went] = [await inwards.stop(), await outwards.stop()]
    await project.ctl('schedule', 'all')
    const found = await project.mail.arrives(came.keys())
    const gone = await elsewhere.receives(went.keys())
    const sums = await project.mail.settles()
    assert.deepEqual([sums['failed'], sums['missing']], [0, 0])
    await cameOnce(project, new Map([...came, ...went]), [...found, ...gone.map(({ id }) => id)])
  })

  test('jobs of a version to come are left alone until it is there, and it takes those of today', async () => {
    const next = await versionAfter()
    await waits('delivery', 'today')
    await replace(next, 'inbound')
    assert.match((await project.mail.send('to-come')).raw, /^250 /)
    await eventually(
      () => project.logged('filter'),
      (lines) => lines.some(({ msg }) => typeof msg === 'string' && msg.startsWith('a job of schema')),
      () => Promise.resolve('the filter says nothing of a job that it cannot read'),
    )
    const { sums } = await project.books()
    assert.deepEqual([sums['queued'], sums['missing']], [2, 0])
    await project.up('--no-build')
    await project.mail.arrives(['today', 'to-come'])
    await project.mail.settles()
  })

  test('a backup is the whole host: mail, accounts and what waits', async () => {
    await waits('delivery', 'in-the-backup')
    const password = await project.mail.password()
    await project.compose('stop')
    const backup = await tempFolder('backup')
    const other = new ComposeProject(project.version)
    try {
      await project.backup(backup.path)
      await project.remove()
      const [file = ''] = await readdir(backup.path)
      await other.backup(backup.path, 'restore', file)
      await other.up('--no-build')
      assert.equal(await other.mail.password(), password)
      await other.mail.arrives(['old-1', 'today', 'in-the-backup'])
      assert.equal((await other.mail.settles())['missing'], 0)
    } finally {
      await other.remove()
      await backup.remove()
    }
  })
})
