// A vitest reporter: prints why tests were skipped, and ends the run with the one line that scripts read: `N passed, N failed`.
// A file that could not be loaded and an error outside any test count as failures.
import type { Reporter, TestModule } from "vitest/node"

export default class Tally implements Reporter {
  onTestRunEnd(modules: ReadonlyArray<TestModule>, errors: ReadonlyArray<unknown>): void {
    let passed = 0
    let failed = errors.length
    const skipped = new Map<string, number>()
    for (const module of modules) {
      failed += module.errors().length
      for (const suite of module.children.allSuites()) failed += suite.errors().length
      for (const test of module.children.allTests()) {
        const result = test.result()
        if (result.state === "passed") passed++
        else if (result.state === "failed") failed++
        else if (result.state === "skipped") {
          const reason = result.note ?? "marked as skipped"
          skipped.set(reason, (skipped.get(reason) ?? 0) + 1)
        }
      }
    }
    for (const [reason, count] of skipped) console.log(`skipped ${count}: ${reason}`)
    console.log(`${passed} passed, ${failed} failed`)
  }
}
