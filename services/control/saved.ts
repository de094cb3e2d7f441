import { formatSecond } from '../../shared/report/units.ts'
import {
  deleteSearch,
  readSearches,
  saveSearch,
  searchNamed,
  searchesFor,
} from '../../shared/searches/saved-searches.ts'
import { QueryError } from '../../shared/store/query.ts'
import { UsageError, exitCodes } from './command.ts'
import type { Invocation } from './command.ts'
import { findPlace, operatorName } from './connect.ts'
import { userName } from './data-owner.ts'
import { visible } from './terminal.ts'
import { textTable } from './text-table.ts'
import { done } from './with-operations.ts'

/** Of everybody's, or of who signs in to the dashboard by the same name as here. @throws UsageError when there is none */
export async function savedQuery(invocation: Invocation, name: string): Promise<string> {
  const { dataFolder } = await findPlace(invocation)
  const searches = await readSearches(dataFolder)
  const found = searchNamed(searches, name, userName())
  if (found !== undefined) return found.query
  const names = searchesFor(searches, userName()).map((one) => `'${one.name}'`)
  throw new UsageError(
    `there is no search '${name}'; there ${names.length === 0 ? 'are none' : `are: ${names.join(', ')}`}`,
  )
}

/** `find --save NAME QUERY` */
export async function keepSearch(invocation: Invocation): Promise<number> {
  const name = invocation.options.text('save') ?? ''
  const [query] = invocation.operands
  if (query === undefined) throw new UsageError('--save NAME goes with the QUERY that is kept')
  const { dataFolder } = await findPlace(invocation)
  try {
    await saveSearch(dataFolder, { name, query, by: operatorName(), at: Date.now() })
  } catch (error) {
    if (error instanceof QueryError) throw new UsageError(error.message)
    throw error
  }
  return done(invocation, { name, query }, `saved: sluicectl find --saved '${name}'`)
}

/** `find --forget NAME`: everybody's. */
export async function forgetSearch(invocation: Invocation): Promise<number> {
  const name = invocation.options.text('forget') ?? ''
  const { dataFolder } = await findPlace(invocation)
  await deleteSearch(dataFolder, { name })
  return done(invocation, { name }, `search '${name}' is deleted`)
}

/** `find --searches` */
export async function showSearches(invocation: Invocation): Promise<number> {
  const { terminal, options } = invocation
  const { dataFolder } = await findPlace(invocation)
  const searches = searchesFor(await readSearches(dataFolder), userName())
  if (options.has('json')) terminal.print(JSON.stringify(searches, undefined, 2))
  else if (searches.length === 0) terminal.print('No search is saved.')
  else {
    const columns = ['name', 'search', 'by', 'saved'].map((title) => ({ title }))
    const rows = searches.map(({ name, query, by, at }) => [
      visible(name),
      visible(query),
      visible(by),
      formatSecond(at),
    ])
    for (const line of textTable(columns, rows)) terminal.print(line)
  }
  return exitCodes.done
}
