// What the link "users" answers while the users change under it.
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import type { Answer, Credentials } from "../../../src/access/authentication/AuthLink.ts"
import { hashPassword } from "../../../src/access/authentication/passwords/verifyPassword.ts"
import { usersLink } from "../../../src/access/authentication/usersLink.ts"
import type { User } from "../../../src/access/users/User.ts"
import { linkParts } from "../../support/linkParts.ts"

const bytes = (text: string) => new TextEncoder().encode(text)

const credentials: Credentials = {
  clientId: "c1",
  userName: "bob",
  password: bytes("pencil"),
  address: "10.0.0.1",
  listener: "tcp",
  certificateName: undefined,
  certificateSubject: undefined,
  protocolVersion: 5
}

const answered = (answer: Answer | Effect.Effect<Answer, unknown>) =>
  Effect.isEffect(answer) ? answer : Effect.succeed(answer)

const userWith = (password: string) =>
  Effect.map(
    hashPassword("pbkdf2-sha256", bytes(password), 1_000),
    (passwordHash): User => ({ name: "bob", passwordHash, superuser: false, scram: new Map() })
  )

describe("the link of built-in users", () => {
  it.live("knows by name and password; without a name, or a name that is not there, the next link is asked", () =>
    Effect.gen(function* () {
      const bob = yield* userWith("pencil")
      const users = { find: (name: string) => name === "bob" ? bob : undefined }
      const link = usersLink({ key: "user_name", maxUsers: 1 }, users, linkParts().passwords)
      const tag = (changed: Partial<Credentials>) =>
        Effect.map(answered(link.check({ ...credentials, ...changed })), ({ _tag }) => _tag)
      assert.strictEqual(yield* tag({}), "Allow")
      assert.strictEqual(yield* tag({ password: bytes("brush") }), "Deny")
      assert.strictEqual(yield* tag({ password: undefined }), "Deny")
      assert.strictEqual(yield* tag({ userName: undefined }), "Ignore")
      assert.strictEqual(yield* tag({ userName: "eve" }), "Ignore")
      assert.strictEqual(yield* tag({ userName: "eve", password: undefined }), "Ignore")
      assert.strictEqual(yield* tag({ userName: "BOB" }), "Ignore")
    }))

  it.live("a password that was right when it came, and is another one by the time it is checked, is wrong", () =>
    Effect.gen(function* () {
      let user: User | undefined = yield* userWith("pencil")
      const link = usersLink({ key: "user_name", maxUsers: 1 }, { find: () => user }, linkParts().passwords)
      for (const next of [yield* userWith("brush"), undefined]) {
        const answer = link.check(credentials)
        user = next
        assert.strictEqual((yield* answered(answer))._tag, "Deny")
        user = yield* userWith("pencil")
      }
    }))
})
