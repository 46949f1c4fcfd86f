import { Effect } from "effect"
import { openMemory } from "../../src/store/MemoryEngine.ts"
import { engineContract } from "./Engine.contract.ts"
import { recordsContract } from "./records.contract.ts"

engineContract("memory", Effect.succeed({ open: openMemory, survives: false }))
recordsContract("memory", Effect.succeed({ open: openMemory, survives: false }))
