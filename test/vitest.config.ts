import { defineConfig } from "vitest/config"

// Bun 1.4 cannot start vitest's `forks` pool and Deno 2.9 cannot run its `threads` pool: each runtime gets the pool it has.
export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    pool: process.versions["bun"] ? "threads" : "forks",
    maxWorkers: 2,
    testTimeout: 30_000,
    hookTimeout: 30_000
  }
})
