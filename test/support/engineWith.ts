// An engine of which a test answers some questions itself.
import type { Engine } from "../../src/store/Engine.ts"

export const engineWith = (engine: Engine, own: Partial<Engine>): Engine => {
  const all: Engine = Object.create(engine)
  return Object.assign(all, own)
}
