// A Redis command with placeholders (`HGET mqtt_user:%u password`) becomes a list of arguments. Pure. Invariant: a value is part of one
// argument, whatever is in it: spaces and line ends make no second one.
import { cutTemplate, fill, type Names, type Piece, type Placeholder, placeholdersIn } from "./placeholders.ts"

export interface CommandTemplate {
  readonly words: ReadonlyArray<ReadonlyArray<Piece>>
  readonly uses: ReadonlySet<Placeholder>
}

/** A text: what is wrong with it. */
export const parseCommandTemplate = (template: string): CommandTemplate | string => {
  const words = template.trim().split(/\s+/).filter((word) => word !== "").map(cutTemplate)
  const [name] = words
  if (name === undefined) return "empty"
  if (placeholdersIn(name).size > 0) return "the command's name cannot be a placeholder"
  return { words, uses: placeholdersIn(words.flat()) }
}

/** Undefined: a value is missing, so there is nothing to ask for. */
export const argumentsOf = ({ words }: CommandTemplate, names: Names): ReadonlyArray<string> | undefined => {
  const filled = words.map((word) => fill(word, names))
  return filled.every((word) => word !== undefined) ? filled : undefined
}
