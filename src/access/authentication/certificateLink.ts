// The link "certificate": a client certificate that the listener has verified lets its owner in, under the name in it. Invariant: without a
// certificate that was verified nobody is let in here, and nobody gets another user name than that of the certificate.
import { Effect } from "effect"
import { NamePattern } from "../rules/NamePattern.ts"
import type { AuthCertificateSettings } from "../../config/Settings.ts"
import { type AuthLink, ignore } from "./AuthLink.ts"
import { LinksInvalid, type MakeLink } from "./MakeLink.ts"

/** `bySubject`: listeners that take the user name from the certificate's subject. */
export const certificateLink = (
  { listeners }: AuthCertificateSettings,
  names: NamePattern | undefined,
  bySubject: ReadonlySet<string>
): AuthLink => {
  const lets = (listener: string, name: string | undefined): name is string =>
    name !== undefined && name !== "" && (listeners.length === 0 || listeners.includes(listener)) &&
    (names === undefined || names.matches(name) === true)
  return {
    name: "certificate",
    cacheable: false,
    check: ({ certificateName, certificateSubject, listener }) => {
      if (!lets(listener, certificateName)) return ignore
      if (!bySubject.has(listener)) return { _tag: "Allow", superuser: false, userName: certificateName }
      if (certificateSubject === undefined || certificateSubject === "") return ignore
      return { _tag: "Allow", superuser: false, userName: certificateSubject }
    },
    stillAllows: ({ certificateName, listener }) => lets(listener, certificateName)
  }
}

export const makeCertificateLink: MakeLink = ({ auth_certificate: authCertificate, listeners }) => {
  const { commonNameRegex } = authCertificate
  const names = commonNameRegex === "" ? undefined : NamePattern.parse(commonNameRegex)
  return typeof names === "string"
    ? Effect.fail(new LinksInvalid({ faults: [`auth_certificate.common_name_regex: ${names}`] }))
    : Effect.succeed(certificateLink(
      authCertificate,
      names,
      new Set(listeners.flatMap(({ certificateAs, name }) => certificateAs === "user_name_dn" ? [name] : []))
    ))
}
