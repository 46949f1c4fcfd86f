// The thread that checks bcrypt hashes. An entry point of its own. Invariant: it answers every question once, in the order in which they came.
import { compareSync } from "bcryptjs"
import { parentPort } from "node:worker_threads"
import type { BcryptAnswer, BcryptQuestion } from "./askBcrypt.ts"

const decoder = new TextDecoder("utf-8", { fatal: true })

/** bcryptjs takes text; bytes that are none are no password that anybody could have set. */
const isRight = ({ hash, password }: BcryptQuestion): boolean => {
  try {
    return compareSync(decoder.decode(password), hash)
  } catch {
    return false
  }
}

parentPort?.on("message", (question: BcryptQuestion) => {
  const answer: BcryptAnswer = { id: question.id, right: isRight(question) }
  parentPort?.postMessage(answer, [])
})
