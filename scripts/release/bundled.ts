// What is inside the compiled file besides our own code: packages of package-lock.json that the broker depends on, and Bun itself.
// Both the bill of materials and the list of licences are made of it.
import * as fs from "node:fs"
import * as path from "node:path"
import { root } from "./compile.ts"
import { licenceTexts } from "./licenceTexts.ts"

export interface BundledPackage {
  readonly name: string
  readonly version: string
  /** An SPDX expression. */
  readonly license: string
  /** As in package-lock.json: `sha512-` and base64. */
  readonly integrity: string
  /** Names of packages it asks for. */
  readonly dependencies: ReadonlyArray<string>
  readonly licenseText: string | undefined
}

interface LockedPackage {
  readonly version?: string
  readonly license?: string
  readonly integrity?: string
  readonly dev?: boolean
  readonly peer?: boolean
  readonly dependencies?: { readonly [name: string]: string }
}

const licenseTextIn = (folder: string): string | undefined => {
  if (!fs.existsSync(folder)) return undefined
  const file = fs.readdirSync(folder).toSorted().find((name) => /^(?:licen[cs]e|copying)(?:\.|$)/i.test(name))
  return file === undefined ? undefined : fs.readFileSync(path.join(folder, file), "utf8").trim()
}

/** Development tools, types and peers that nobody installed stay out. */
export const bundledPackages = (): ReadonlyArray<BundledPackage> => {
  const lock = JSON.parse(fs.readFileSync(path.join(root, "package-lock.json"), "utf8")) as {
    readonly packages: { readonly [folder: string]: LockedPackage }
  }
  return Object.entries(lock.packages).flatMap(([folder, locked]): ReadonlyArray<BundledPackage> => {
    const name = folder.replace(/^.*node_modules\//, "")
    if (folder === "" || locked.dev === true || locked.peer === true || name.startsWith("@types/")) return []
    return [{
      name,
      version: locked.version ?? "",
      license: locked.license ?? "",
      integrity: locked.integrity ?? "",
      dependencies: Object.keys(locked.dependencies ?? {}),
      licenseText: licenseTextIn(path.join(root, folder)) ?? licenceTexts.get(name)
    }]
  })
}
