// What a listener is by its name alone: `[listeners.tls]` speaks TLS on 8883 unless it says otherwise. Pure; on the tree of keys, before
// it is decoded, as one key's default here hangs on another key.
import { type ListenerType, listenerTypes, usualPorts } from "./sections/listener.ts"
import { isTree, mergeTrees, type Tree } from "./SettingsSource.ts"

const typeOf = (text: unknown): ListenerType | undefined => listenerTypes.find((type) => type === text)

const completed = (name: string, listener: Tree): Tree => {
  const type = listener["type"] ?? typeOf(name) ?? "tcp"
  return mergeTrees({ type, port: usualPorts[typeOf(type) ?? "tcp"] }, listener)
}

/** Whether anything is said about listeners; a table without a key says nothing. */
export const namesListeners = (tree: Tree): boolean => {
  const listeners = tree["listeners"] ?? {}
  return !isTree(listeners) || Object.values(listeners).some((one) => !isTree(one) || Object.keys(one).length > 0)
}

/** Type and port of every listener that leaves them out; `tcp` is there without being named. */
export const withListenerDefaults = (tree: Tree): Tree => {
  const listeners = tree["listeners"] ?? {}
  if (!isTree(listeners)) return tree
  const all: Tree = mergeTrees({ tcp: {} }, listeners)
  const complete = Object.entries(all).map(([name, one]) => [name, isTree(one) ? completed(name, one) : one])
  const { listeners: _, ...rest } = tree
  return mergeTrees(rest, { listeners: Object.fromEntries(complete) })
}
