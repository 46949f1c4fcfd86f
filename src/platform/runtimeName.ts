// Which runtime this is, for logs, `--version` and statistics: "bun 1.4.5", "deno 2.9.5".
const { bun, deno, node } = process.versions as Readonly<Record<string, string | undefined>>

export const runtimeName: string = bun !== undefined
  ? `bun ${bun}`
  : deno !== undefined
  ? `deno ${deno}`
  : `node ${node}`
