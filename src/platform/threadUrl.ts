/**
 * Where the module of a thread is. From source: `near` the module that starts it. In a compiled binary, which has all modules in one and whose
 * further entry points lie where they lay in src/: `fromSrc`. Each such module has to be an entry point of the build.
 */
export const threadUrl = (startedBy: string, near: string, fromSrc: string): URL =>
  new URL(/\/(?:\$bunfs|~BUN)\//.test(startedBy) ? fromSrc : near, startedBy)
