import { readdirSync, readFileSync } from 'node:fs'
import { after, before, describe, test } from 'node:test'

import { standardConf, standardPipeline } from '../support/configurations.ts'
import { parseDialog, runDialog } from '../support/dialog.ts'
import { MailSystem } from '../support/mail-system.ts'

const dialogs = readdirSync(import.meta.dirname)
  .filter((name) => name.endsWith('.txt'))
  .sort()
  .map((name) => parseDialog(name, readFileSync(`${import.meta.dirname}/${name}`, 'utf8')))

describe('SMTP dialogs', () => {
  let system: MailSystem

  before(async () => {
    system = await MailSystem.start({ conf: standardConf(), pipeline: standardPipeline() })
  })

  after(() => system.stop())

  for (const dialog of dialogs) {
    test(`${dialog.guarantee} (${dialog.name})`, () => runDialog(dialog, system.port(dialog.listener)))
  }
})
