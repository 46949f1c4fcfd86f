// The bill of materials of a release: CycloneDX 1.5 as JSON. Pure but for the clock that its caller reads.
import type { BundledPackage } from "./bundled.ts"

export interface Subject {
  readonly name: string
  readonly version: string
  readonly license: string
  readonly bunVersion: string
  /** Names of the packages that it asks for itself. */
  readonly dependencies: ReadonlyArray<string>
  /** ISO 8601. */
  readonly at: string
}

const purl = (name: string, version: string): string => `pkg:npm/${name.replace("@", "%40")}@${version}`

const licensesOf = (expression: string) =>
  expression === "" ? {} : { licenses: [/[ ()]/.test(expression) ? { expression } : { license: { id: expression } }] }

const hashesOf = (integrity: string) => {
  const [algorithm, base64] = integrity.split("-")
  return algorithm === "sha512" && base64 !== undefined
    ? { hashes: [{ alg: "SHA-512", content: Buffer.from(base64, "base64").toString("hex") }] }
    : {}
}

export const sbomOf = (subject: Subject, packages: ReadonlyArray<BundledPackage>): object => {
  const refs = new Map(packages.map(({ name, version }) => [name, purl(name, version)]))
  const refsOf = (names: ReadonlyArray<string>) => names.flatMap((name) => refs.get(name) ?? [])
  const self = `pkg:generic/${subject.name}@${subject.version}`
  const bun = `pkg:generic/bun@${subject.bunVersion}`
  return {
    $schema: "http://cyclonedx.org/schema/bom-1.5.schema.json",
    bomFormat: "CycloneDX",
    specVersion: "1.5",
    version: 1,
    metadata: {
      timestamp: subject.at,
      component: {
        type: "application",
        "bom-ref": self,
        name: subject.name,
        version: subject.version,
        purl: self,
        ...licensesOf(subject.license)
      }
    },
    components: [
      { type: "platform", "bom-ref": bun, name: "bun", version: subject.bunVersion, purl: bun, ...licensesOf("MIT") },
      ...packages.map(({ integrity, license, name, version }) => ({
        type: "library",
        "bom-ref": purl(name, version),
        name,
        version,
        purl: purl(name, version),
        ...licensesOf(license),
        ...hashesOf(integrity)
      }))
    ],
    dependencies: [
      { ref: self, dependsOn: [bun, ...refsOf(subject.dependencies)] },
      { ref: bun, dependsOn: [] },
      ...packages.map(({ dependencies, name, version }) => ({
        ref: purl(name, version),
        dependsOn: refsOf(dependencies)
      }))
    ]
  }
}
