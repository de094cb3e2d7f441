import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'

import { verifyDkim } from '../support/dkim-verify.ts'
import { Elsewhere } from './elsewhere.ts'
import { eventually } from './engine.ts'
import { cameOnce, dkimRecords, Load, mailbox, stranger } from './mail.ts'
import { ComposeProject, type Version } from './project.ts'
import { missingSecondNode, SecondNode } from './second-node.ts'
import { idOfImage, Stack } from './stack.ts'
import { missingSwarm, Swarm } from './swarm.ts'
import { sameVersion } from './versions.ts'

const everyService = 'filter delivery signer relay ledger dashboard redis unbound dovecot inbound'.split(' ')

const noSecondNode = missingSwarm() || missingSecondNode()

describe('docker stack deploy', { skip: missingSwarm() }, () => {
  let swarm: Swarm
  let stack: Stack
  let elsewhere: Elsewhere
  let next: Version
  let node: SecondNode | undefined
  before(async () => {
    await new ComposeProject().build()
    next = await sameVersion()
    if (noSecondNode === false) node = await SecondNode.start()
    swarm = await Swarm.enter(node?.here)
    stack = await Stack.start()
    elsewhere = await Elsewhere.publish(stack)
  })
  after(async () => {
    await node?.remove()
    await stack?.remove()
    await swarm?.leave()
  })

  /** What comes in and goes out while something happens is not lost, and the books are closed. */
  async function during(what: string, happens: () => Promise<void>): Promise<void> {
    const inwards = new Load(stack.mail, `${what}-in`, [{}, {}, {}])
    const outwards = new Load(stack.mail, `${what}-out`, [{ as: 'user', to: stranger }])
    await Promise.all([inwards.more(5), outwards.more(1)])
    await happens()
    await Promise.all([inwards.more(5), outwards.more(1)])
    const [came, went] = [await inwards.stop(), await outwards.stop()]
    await eventually(
      // What could not be tried meanwhile is tried now, and what was being tried is tried again.
      () => stack.ctl('schedule', 'all').then(() => stack.books()),
      ({ sums }) => sums['queued'] === 0,
      async () => stack.ctl('show', 'queue'),
    )
    const found = await stack.mail.arrives(came.keys())
    const gone = await elsewhere.receives(went.keys())
    const sums = await stack.mail.settles()
    assert.deepEqual([sums['failed'], sums['missing']], [0, 0])
    await cameOnce(stack, new Map([...came, ...went]), [...found, ...gone.map(({ id }) => id)])
  }

  test('mail from outside is checked and read by IMAP; that of a user is signed, and relayed to the server of others', async () => {
    assert.match((await stack.mail.send('outside')).raw, /^250 2\.0\.0 /)
    assert.match((await stack.mail.send('to-others', { as: 'user', to: stranger })).raw, /^250 /)
    await stack.mail.arrives(['outside'], 'INBOX')
    const [mail] = await elsewhere.receives(['to-others'])
    assert.deepEqual([mail?.from, mail?.recipients], [mailbox, [stranger]])
    const { valid, detail } = await verifyDkim(mail?.content ?? Buffer.of(), await dkimRecords(stack))
    assert.ok(valid, detail)
  })

  test('three filters share the work', async () => {
    await stack.scale('filter', 3)
    const ids = await stack.containers('filter')
    assert.equal(ids.length, 3)
    const load = new Load(stack.mail, 'scaled', [{}, {}, {}, {}, {}, {}])
    await eventually(
      () => stack.saidByEach('filter'),
      (texts) => texts.length === 3 && texts.every((text) => text.includes('"event":"filtered"')),
      () => Promise.resolve('not each of the three has filtered a message'),
    )
    await stack.mail.arrives((await load.stop()).keys())
  })

  test('a task of each service is killed, all at once, while mail comes and goes: nothing is lost', async () => {
    await during('killed', () => stack.crash(everyService))
  })

  test('another image takes the place of this one while mail comes and goes, and nothing is lost', async () => {
    await during('rolled', () => stack.deploy(next))
    assert.equal((await stack.containers('filter')).length, 2, 'as the file says')
  })

  test(
    'a second host takes its share of mail and of the work on it, and sees clients by their own addresses',
    { skip: noSecondNode },
    async () => {
      assert.ok(node)
      const { address, here } = node
      await node.join([await idOfImage(next.image)])
      await stack.scale('filter', 4)
      const near = new Load(stack.mail, 'here', [{}, {}])
      const far = new Load(stack.mail, 'there', [{ host: address }, { host: address }])
      await far.more(5)
      await eventually(
        async () => [await stack.saidByEach('filter'), (await node?.saidByEach(`${stack.name}_filter`)) ?? []],
        (hosts) => hosts.every((texts) => texts.some((text) => text.includes('"event":"filtered"'))),
        (hosts) => Promise.resolve(`a host has filtered nothing: ${hosts.map(({ length }) => length).join(' and ')}`),
      )
      await stack.mail.arrives([...(await near.stop()).keys(), ...(await far.stop()).keys()])
      await eventually(
        () => stack.ctl('find', `client:${here}`, '--limit', '1', '--json'),
        (found) => (JSON.parse(found) as { readonly messages: readonly unknown[] }).messages.length > 0,
        () => Promise.resolve(`no client at ${here} was seen`),
      )
    },
  )

  test(
    'it loses its power while mail comes in on both: nothing that either has taken is lost',
    { skip: noSecondNode },
    async () => {
      assert.ok(node)
      const { address } = node
      const far = new Load(stack.mail, 'far', [{ host: address }, { host: address }])
      await far.more(10)
      let taken: ReadonlyMap<string, string> = new Map()
      await during('near', async () => {
        await node?.die()
        await stack.converges()
        taken = await far.stop()
        assert.ok(taken.size > 0)
      })
      await cameOnce(stack, taken, await stack.mail.arrives(taken.keys()))
    },
  )
})
