// `emqttd passwd`: its flags. What does the work is loaded only when it is asked for.
// Invariant: exit 0 when the file says what was asked for, 1 for a user who is not there, 2 for bad usage, 74 for the disk, 78 for a file with
// faults.
import { Effect, Option } from "effect"
import { Argument, Command, Flag } from "effect/cli"
import { algorithms } from "../../access/authentication/passwords/PasswordHash.ts"

export const passwdCommand = Command.make("passwd", {
  remove: Flag.Boolean("delete").pipe(
    Flag.withAlias("D"),
    Flag.withDescription("Take the user out of the file"),
    Flag.withDefault(false)
  ),
  batch: Flag.Boolean("batch").pipe(
    Flag.withAlias("b"),
    Flag.withDescription("The password stands in the command line, where other users of the machine see it"),
    Flag.withDefault(false)
  ),
  superuser: Flag.Boolean("superuser").pipe(
    Flag.withDescription("No access rule holds for this user"),
    Flag.withDefault(false)
  ),
  algorithm: Flag.Literals("algorithm", algorithms).pipe(
    Flag.withMetavar("NAME"),
    Flag.withDescription("How it is hashed; mosquitto: so that Mosquitto 2 reads it (pbkdf2-sha256)"),
    Flag.withDefault("pbkdf2-sha256" as const)
  ),
  iterations: Flag.Int("iterations").pipe(
    Flag.withMetavar("N"),
    Flag.withDescription("Of PBKDF2, 1,000 to 10,000,000 (100,000)"),
    Flag.withDefault(100_000)
  ),
  file: Argument.String("file").pipe(Argument.withDescription("The password file; made when it is not there")),
  user: Argument.String("user").pipe(Argument.withDescription("User name")),
  password: Argument.String("password").pipe(Argument.withDescription("With -b only"), Argument.optional)
}, ({ password, ...asked }) =>
  Effect.gen(function* () {
    const { passwd } = yield* Effect.promise(() => import("./passwd.ts"))
    yield* passwd({ ...asked, password: Option.getOrUndefined(password) })
  })).pipe(
    Command.withDescription(
      "Set the password of a user in a password file, or take the user out. It is asked for without echo, or read from standard input. " +
        "A running broker reads the file again at SIGHUP"
    ),
    Command.withExamples([
      { command: "emqttd passwd /etc/emqttd/passwords ann", description: "Ask for the password twice" },
      { command: "emqttd passwd passwords ann < secret", description: "Take the first line of a file" },
      { command: "emqttd passwd -D passwords ann", description: "Take ann out" }
    ])
  )
