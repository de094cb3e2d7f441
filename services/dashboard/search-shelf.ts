import {
  deleteSearch,
  readSearches,
  renameSearch,
  saveSearch,
  searchesFor,
} from '../../shared/searches/saved-searches.ts'
import type { SavedSearch, SearchKey } from '../../shared/searches/saved-searches.ts'
import type { SearchCount, SearchCounts } from './search-counts.ts'

/** Searches under names, with how much each finds. */
export interface SearchShelf {
  /** Everybody's, and those of who looks. */
  for(owner: string | undefined): Promise<readonly CountedSearch[]>
  save(search: SavedSearch): Promise<void>
  rename(key: SearchKey, name: string): Promise<void>
  delete(key: SearchKey): Promise<void>
}

export interface CountedSearch extends SavedSearch {
  /** Absent: not counted yet, or it takes too long. */
  readonly found?: SearchCount
}

export function createSearchShelf(dataFolder: string, counts: SearchCounts): SearchShelf {
  return {
    async for(owner) {
      const searches = searchesFor(await readSearches(dataFolder), owner)
      const found = await counts.of(searches.map(({ query }) => query))
      return searches.map((search) => {
        const count = found.get(search.query)
        return { ...search, ...(count === undefined ? {} : { found: count }) }
      })
    },
    save: (search) => saveSearch(dataFolder, search),
    rename: (key, name) => renameSearch(dataFolder, key, name),
    delete: (key) => deleteSearch(dataFolder, key),
  }
}
