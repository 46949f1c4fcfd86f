// Where each key of a YAML text stands: "listeners.tcp.port" → line 12. Pure; only run when there is a fault to
// report. Expects text that the YAML parser has accepted: mappings and sequences in block and in flow style; what
// anchors merge in has no line.

/** Key path (joined by dots; list items by their index) → line, the first being 1. */
export const yamlPositions = (text: string): ReadonlyMap<string, number> => {
  const found = new Map<string, number>()
  const record = (path: ReadonlyArray<string>, line: number) => {
    const key = path.join(".")
    if (!found.has(key)) found.set(key, line)
  }
  const open: Array<Level> = [{ indent: -1, path: [], items: 0 }]
  const lines = text.replace(/^\uFEFF/, "").split(/\r?\n/)
  for (let i = 0; i < lines.length; i++) {
    let rest = lines[i] ?? ""
    if (/^\s*(?:#|$)/.test(rest) || /^(?:---|\.\.\.|%)/.test(rest)) continue
    let indent = rest.length - rest.trimStart().length
    rest = rest.slice(indent)
    for (;;) {
      const isItem = /^-(?:\s|$)/.test(rest)
      const parent = levelOf(open, indent, isItem)
      if (isItem) {
        const path = [...parent.path, String(parent.items++)]
        record(path, i + 1)
        open.push({ indent, path, items: 0, isItem })
        const skipped = rest.length - rest.slice(1).trimStart().length
        rest = rest.slice(skipped)
        indent += skipped
        if (rest === "") break
        if (/^[[{]/.test(rest)) i = flow(lines, i, indent, path, record)
        else if (KEY.test(rest) || /^-(?:\s|$)/.test(rest)) continue
        break
      }
      const key = KEY.exec(rest)
      if (key === null) break // the next line of a text
      const path = [...parent.path, unquote(key[1] ?? "")]
      record(path, i + 1)
      open.push({ indent, path, items: 0 })
      const value = rest.slice(key[0].length).trimStart()
      if (/^[|>]/.test(value)) {
        while (i + 1 < lines.length && /^\s*$|^\s/.test(lines[i + 1] ?? "") && deeper(lines[i + 1] ?? "", indent)) i++
      } else if (/^[[{]/.test(value)) {
        i = flow(lines, i, (lines[i] ?? "").length - value.length, path, record)
      }
      break
    }
  }
  return found
}

interface Level {
  readonly indent: number
  readonly path: ReadonlyArray<string>
  readonly isItem?: boolean
  items: number
}

const KEY = /^("(?:[^"\\]|\\.)*"|'(?:[^']|'')*'|[^\s#"'[{&*!|>%@`-][^:#]*?|-[^\s:][^:]*?)\s*:(?=\s|$)/

const unquote = (key: string): string => /^["']/.test(key) ? key.slice(1, -1) : key.trim()
const deeper = (line: string, indent: number): boolean =>
  line.trim() === "" || line.length - line.trimStart().length > indent

/**
 * The mapping or sequence that a line of this indentation belongs to; the deeper ones are over. A list may stand at
 * its key's own indentation.
 */
const levelOf = (open: Array<Level>, indent: number, isItem: boolean): Level => {
  for (;;) {
    const last = open.at(-1)
    if (last === undefined) return { indent: -1, path: [], items: 0 }
    if (last.indent < indent || (isItem && last.indent === indent && last.isItem !== true)) return last
    open.pop()
  }
}

/** Walks a flow collection that begins at `column` of line `i`; returns the line where it ends. */
const flow = (
  lines: ReadonlyArray<string>,
  i: number,
  column: number,
  path: ReadonlyArray<string>,
  record: (path: ReadonlyArray<string>, line: number) => void
): number => {
  const open: Array<{ path: ReadonlyArray<string>; list: boolean; index: number }> = []
  let current = path
  let expectsKey = false
  for (let at = column; i < lines.length; i++, at = 0) {
    const line = lines[i] ?? ""
    while (at < line.length) {
      const rest = line.slice(at)
      const inner = open.at(-1)
      const begin = /^[[{]/.exec(rest)
      const key = expectsKey && inner?.list === false
        ? /^("(?:[^"\\]|\\.)*"|'(?:[^']|'')*'|[^\s,{}[\]:"'#][^,{}[\]:]*?)\s*:/.exec(rest)
        : null
      if (inner?.list === true && expectsKey && !/^[\s,\]]/.test(rest)) {
        current = [...inner.path, String(inner.index)]
        record(current, i + 1)
        expectsKey = false
      }
      if (begin !== null) {
        open.push({ path: current, list: begin[0] === "[", index: 0 })
        expectsKey = true
        at++
      } else if (/^[\]}]/.test(rest)) {
        open.pop()
        expectsKey = false
        at++
        if (open.length === 0) return i
      } else if (rest[0] === ",") {
        if (inner !== undefined) inner.index++
        expectsKey = true
        at++
      } else if (key !== null && inner !== undefined) {
        current = [...inner.path, unquote(key[1] ?? "")]
        record(current, i + 1)
        expectsKey = false
        at += key[0].length
      } else if (/^(?:\s#|#)/.test(rest)) {
        break
      } else {
        at += /^(?:"(?:[^"\\]|\\.)*"|'(?:[^']|'')*'|[^\s,{}[\]]+|\s)/.exec(rest)?.[0].length ?? 1
      }
    }
  }
  return i
}
