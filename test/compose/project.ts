import { rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { root } from '../support/fixtures.ts'
import { Containers } from './containers.ts'
import { Mail } from './mail.ts'

/** What is in force: a clone of some commit, and the image that was built of it. */
export interface Version {
  readonly folder: string
  readonly image: string
}

/** This clone. Its image is built, layers cached, unless SLUICE_IMAGE names one. */
export const thisVersion: Version = { folder: root, image: process.env['SLUICE_IMAGE'] ?? 'sluice-test:local' }
/** Otherwise it was given. */
export const isBuilt = process.env['SLUICE_IMAGE'] === undefined

/** For the environment of Compose: the images to run. */
export function images(version: Version): Readonly<Record<'SLUICE_IMAGE' | 'UNBOUND_IMAGE', string>> {
  return {
    SLUICE_IMAGE: version.image,
    UNBOUND_IMAGE: process.env['UNBOUND_IMAGE'] ?? 'sluice-test-unbound:local',
  }
}

/**
 * docker-compose.yml as a project of its own, with test/compose/test.yml on top: there is somebody at elsewhere.test.
 */
export class ComposeProject extends Containers {
  /** Of all containers that are made from now on. */
  version: Version
  /** What the resolver knows beside the world, in files that outlive it; the engine makes the folder. */
  readonly zones = join(tmpdir(), this.name)
  readonly mail = new Mail(this)

  constructor(version: Version = thisVersion) {
    super()
    this.version = version
  }

  /** Resolves when all services are healthy. */
  static async start(version: Version = thisVersion): Promise<ComposeProject> {
    const project = new ComposeProject(version)
    try {
      await project.compose('config', '-q')
      await project.up(isBuilt && version === thisVersion ? '--build' : '--no-build')
      return project
    } catch (error) {
      await project.remove()
      throw error
    }
  }

  /** The images of ours, unless they are given. */
  async build(): Promise<void> {
    if (isBuilt) await this.compose('build', '-q')
  }

  protected files(): readonly string[] {
    const { folder } = this.version
    const files = [join(folder, 'docker-compose.yml'), join(root, 'test/compose/test.yml')]
    return ['--project-directory', folder, ...files.flatMap((file) => ['-f', file])]
  }

  protected settings(): Readonly<Record<string, string>> {
    return {
      ...images(this.version),
      SLUICE_TEST_FOLDER: join(root, 'test'),
      SLUICE_TEST_IMAGE: thisVersion.image,
      SLUICE_TEST_ZONES: this.zones,
      MAIL_DOMAIN: 'sluice.test',
      MAIL_HOSTNAME: 'mx.sluice.test',
      // Whichever ports are free.
      SMTP_PORT: '127.0.0.1:',
      SUBMISSION_PORT: '127.0.0.1:',
      SUBMISSIONS_PORT: '127.0.0.1:',
      IMAPS_PORT: '127.0.0.1:',
      SIEVE_PORT: '127.0.0.1:',
      DASHBOARD_PORT: '0',
    }
  }

  /** The command of docs/operations.md, with a folder of backups. */
  backup(folder: string, ...words: readonly string[]): Promise<string> {
    return this.composeWith({ BACKUP_FOLDER: folder }, 'run', '--rm', 'backup', ...words)
  }

  override async remove(): Promise<void> {
    await super.remove()
    await rm(this.zones, { recursive: true, force: true })
  }
}
