import { testTalk } from './rows/row.ts'
import type { Talk } from './rows/row.ts'
import { seedDialogues, seedZone } from './rows/seeds.ts'

for (const [seed, dialogues] of Object.entries(seedDialogues)) {
  for (const [what, talk] of Object.entries<Talk>(dialogues))
    testTalk(`${seed}: ${what}`, seed, { zone: seedZone, ...talk })
}
