// A table of the configuration file as data: which of our names stands under which key, and how its value is read. Each file of
// `sections/` is one such table. Invariant: `Fields<S>` names every field of `S`; the compiler refuses one that is left out.
import { Effect, Predicate, Schema, SchemaTransformation } from "effect"
import type { SettingCodec } from "./settingCodecs.ts"

export type Fields<S> = { readonly [Name in keyof S]-?: readonly [key: string, codec: SettingCodec<S[Name]>] }

export const keysOf = <S>(fields: Fields<S>): ReadonlyArray<string> => namesOf(fields).map((name) => fields[name][0])
const namesOf = <S>(fields: Fields<S>): ReadonlyArray<keyof S> => Object.keys(fields) as Array<keyof S & string>

/**
 * A table of the file: keys with defaults on one side, our names on the other. A field without a default must be
 * given.
 */
export const table = <S extends object>(fields: Fields<S>, defaults: Partial<S>): Schema.Codec<S, unknown> => {
  const schemas: Record<string, Schema.Codec<unknown, unknown>> = {}
  for (const name of namesOf(fields)) {
    const [key, codec] = fields[name]
    const value = defaults[name]
    schemas[key] = value === undefined ? codec : codec.pipe(Schema.withDecodingDefaultType(Effect.succeed(value)))
  }
  return Schema.Struct(schemas).pipe(Schema.decodeTo(
    Schema.declare((value): value is S => Predicate.isObject(value)),
    SchemaTransformation.transform({
      decode: (tree: { readonly [key: string]: unknown }): S => {
        const value: unknown = Object.fromEntries(namesOf(fields).map((name) => [name, tree[fields[name][0]]]))
        return value as S // each field went through the codec that `Fields<S>` demands for it
      },
      encode: (value: S): { readonly [key: string]: unknown } =>
        Object.fromEntries(namesOf(fields).map((name) => [fields[name][0], value[name]]))
    })
  ))
}

export const optionalTable = <S extends object>(fields: Fields<S>, defaults: S) =>
  table(fields, defaults).pipe(Schema.withDecodingDefaultType(Effect.succeed(defaults)))

/** The same keys, any of which may be left out and then stays out. */
export const partialTable = <S extends object>(fields: Fields<S>): Schema.Codec<Partial<S>, unknown> => {
  const schemas = Object.fromEntries(
    namesOf(fields).map((
      name
    ) => [fields[name][0], Schema.optionalKey<Schema.Codec<unknown, unknown>>(fields[name][1])])
  )
  return Schema.Struct(schemas).pipe(Schema.decodeTo(
    Schema.declare((value): value is Partial<S> => Predicate.isObject(value)),
    SchemaTransformation.transform({
      decode: (tree: { readonly [key: string]: unknown }): Partial<S> => {
        const given = namesOf(fields).filter((name) => fields[name][0] in tree)
        const value: unknown = Object.fromEntries(given.map((name) => [name, tree[fields[name][0]]]))
        return value as Partial<S> // as above
      },
      encode: (value: Partial<S>): { readonly [key: string]: unknown } =>
        Object.fromEntries(
          namesOf(fields).filter((name) => name in value).map((name) => [fields[name][0], value[name]])
        )
    })
  ))
}
