// The licences of all that is inside the compiled file, as one text. Pure.
import type { BundledPackage } from "./bundled.ts"

const rule = "-".repeat(80)

const runtimeNote = (bunVersion: string): string =>
  `bun ${bunVersion} (MIT)

The executable contains the runtime Bun, which is under the MIT licence and links libraries under their own licences, among
them WebKit's JavaScriptCore (LGPL-2.0). They are listed at https://github.com/oven-sh/bun/blob/main/LICENSE.md`

/** A package without a text of its own is named with its licence; whoever makes a release sees the list. */
export const licencesOf = (bunVersion: string, packages: ReadonlyArray<BundledPackage>): string =>
  [
    "emqttd is under the MIT licence (LICENSE). Its executable also contains what follows.",
    runtimeNote(bunVersion),
    ...packages.map(({ license, licenseText, name, version }) =>
      `${name} ${version} (${license})\n\n${licenseText ?? "The package carries no text of its licence."}`
    )
  ].join(`\n\n${rule}\n\n`) + "\n"
