// A collection of young garbage on request. What it takes to let a client in leaves garbage several times the size of what stays;
// left to itself the collector lets it pile up, and the heap then never gives those pages back.

type Collect = () => void

const bunCollector = (): Collect | undefined => {
  if (process.versions["bun"] === undefined) return undefined
  const jsc: object | undefined = process.getBuiltinModule("bun:jsc")
  if (jsc === undefined || !("edenGC" in jsc) || typeof jsc.edenGC !== "function") return undefined
  const { edenGC } = jsc
  return () => void edenGC()
}

/** Takes 1 to 5 ms on Bun; elsewhere there is no such thing, and it does nothing. */
export const collectYoung: Collect = bunCollector() ?? (() => {})
