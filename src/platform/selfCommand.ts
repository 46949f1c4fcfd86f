/**
 * How this program is started once more: the same runtime and the same main module, or the same compiled file. Arguments of the command line come
 * behind `args`.
 */
export const selfCommand = (): { readonly program: string; readonly args: ReadonlyArray<string> } => {
  const program = process.execPath
  const main = process.argv[1] ?? ""
  const isCompiledBun = /(?:\/\$bunfs\/|~BUN)/.test(main)
  if (process.versions["deno"] === undefined) return { program, args: isCompiledBun ? [] : [main] }
  const isCompiledDeno = !/[\\/]deno(?:\.exe)?$/.test(program)
  return { program, args: isCompiledDeno ? [] : ["run", "--allow-all", main] }
}
