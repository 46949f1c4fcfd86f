// The link "certificate": a client certificate that the listener has verified lets its owner in, under the name in it. Invariant: without a
// certificate that was verified nobody is let in here, and nobody gets another user name than that of the certificate.
import { Effect } from "effect"
import { NamePattern } from "../rules/NamePattern.ts"
import type { AuthCertificateSettings } from "../../config/Settings.ts"
import { type AuthLink, ignore } from "./AuthLink.ts"
import { LinksInvalid, type MakeLink } from "./MakeLink.ts"

export const certificateLink = ({ listeners }: AuthCertificateSettings, names: NamePattern | undefined): AuthLink => ({
  name: "certificate",
  cacheable: false,
  check: ({ certificateName, certificateSubject, listener, userName }) => {
    if (certificateName === undefined || certificateName === "") return ignore
    if (listeners.length > 0 && !listeners.includes(listener)) return ignore
    if (names !== undefined && names.matches(certificateName) !== true) return ignore
    // A listener with certificate_as = "user_name_dn" has put the subject there.
    const isSubject = certificateSubject !== undefined && certificateSubject !== "" && userName === certificateSubject
    return { _tag: "Allow", superuser: false, userName: isSubject ? certificateSubject : certificateName }
  }
})

export const makeCertificateLink: MakeLink = ({ auth_certificate: authCertificate }) => {
  const { commonNameRegex } = authCertificate
  const names = commonNameRegex === "" ? undefined : NamePattern.parse(commonNameRegex)
  return typeof names === "string"
    ? Effect.fail(new LinksInvalid({ faults: [`auth_certificate.common_name_regex: ${names}`] }))
    : Effect.succeed(certificateLink(authCertificate, names))
}
