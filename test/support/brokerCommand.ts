// How the broker is run as a process: from source on the runtime of the tests, or the compiled file that EMQTTD_BINARY names
// (`make test-binary`), by its path from the project's root.
import * as path from "node:path"

export const projectRoot = path.resolve(import.meta.dirname, "../..")

const given = process.env["EMQTTD_BINARY"] ?? ""

/** The compiled broker under test, if it is one that is tested. */
export const brokerBinary: string | undefined = given === "" ? undefined : path.resolve(projectRoot, given)

export interface Program {
  readonly command: string
  readonly args: ReadonlyArray<string>
}

/** A program of ours, by its path from the project's root, on the runtime that runs the tests. */
export const sourceProgram = (file: string): Program => ({
  command: process.execPath,
  args: [
    ...(process.versions["deno"] === undefined ? [] : ["run", "-A", "--config", path.join(projectRoot, "deno.json")]),
    path.join(projectRoot, file)
  ]
})

export const brokerProgram: Program = brokerBinary === undefined
  ? sourceProgram("src/main.ts")
  : { command: brokerBinary, args: [] }
