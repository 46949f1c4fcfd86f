// One layer of settings: the file, the environment or the flags, each with the place of every key for the faults.
// Pure. Invariant: a tree is made of null-prototype tables, since its keys come from outside.
import { Predicate } from "effect"

export interface Tree {
  [key: string]: unknown
}

export type Path = ReadonlyArray<string>

export interface SettingsSource {
  readonly tree: Tree
  /**
   * "emqttd.toml:12", "EMQTTD_NODE__NAME" or "--port"; undefined when this source says nothing at that path or below
   * it.
   */
  readonly originOf: (path: Path) => string | undefined
}

export interface Assignment {
  readonly path: Path
  readonly value: unknown
  readonly origin: string
}

/** A plain table: not a list, not a date. */
export const isTree = (value: unknown): value is Tree =>
  Predicate.isObject(value) && !Array.isArray(value) && !(value instanceof Date)

const emptyTree = (): Tree => Object.create(null)

/** `over` wins, table by table; neither is changed. */
export const mergeTrees = (under: Tree, over: Tree): Tree => {
  const merged = emptyTree()
  for (const [key, value] of Object.entries(under)) merged[key] = isTree(value) ? mergeTrees(value, {}) : value
  for (const [key, value] of Object.entries(over)) {
    const below = merged[key]
    merged[key] = isTree(value) ? mergeTrees(isTree(below) ? below : {}, value) : value
  }
  return merged
}

/** Without the value at `path`; what is not there stays away. */
export const withoutPath = (tree: Tree, [first, ...rest]: Path): Tree => {
  const copy = mergeTrees(tree, {})
  if (first === undefined || !(first in copy)) return copy
  const below = copy[first]
  if (rest.length === 0) delete copy[first]
  else if (isTree(below)) copy[first] = withoutPath(below, rest)
  return copy
}

export const valueAt = (tree: unknown, path: Path): unknown => {
  let at = tree
  for (const key of path) {
    if (Array.isArray(at)) at = at[Number(key)]
    else if (isTree(at)) at = at[key]
    else return undefined
  }
  return at
}

/** A parsed file; `positions` is asked for only when there is a fault. */
export const fileSource = (
  file: string,
  tree: Tree,
  positions: () => ReadonlyMap<string, number>
): SettingsSource => {
  let lines: ReadonlyMap<string, number> | undefined
  return {
    tree,
    originOf: (path) => {
      if (valueAt(tree, path) === undefined) return undefined
      lines ??= positions()
      const line = lines.get(path.join("."))
      return line === undefined ? file : `${file}:${line}`
    }
  }
}

/** The environment or the flags: one value a name, the last one wins. */
export const assignmentSource = (assignments: ReadonlyArray<Assignment>): SettingsSource => {
  const tree = emptyTree()
  for (const { path, value } of assignments) {
    let table = tree
    for (const key of path.slice(0, -1)) {
      const below = table[key]
      const next = isTree(below) ? below : emptyTree()
      table[key] = next
      table = next
    }
    const leaf = path.at(-1)
    if (leaf !== undefined) table[leaf] = value
  }
  return {
    tree,
    originOf: (path) => assignments.findLast((one) => path.every((key, level) => one.path[level] === key))?.origin
  }
}
