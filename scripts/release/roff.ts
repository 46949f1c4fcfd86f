// Pieces of manual pages: text as roff takes it. Pure. Invariant: no text can become a request or an escape.

export const escaped = (text: string): string =>
  text.replaceAll("\\", "\\e").replaceAll("-", "\\-").replace(/^(?=[.'])/gm, "\\&")

export const bold = (text: string): string => `\\fB${escaped(text)}\\fR`
export const italic = (text: string): string => `\\fI${escaped(text)}\\fR`

const argument = (text: string): string => `"${text.replaceAll('"', '""')}"`

/** Lines are ragged and words stay whole: names of settings must not be cut. */
export const title = (name: string, section: number, date: string, source: string, manual: string): string =>
  `.TH ${[name.toUpperCase(), String(section), date, source, manual].map(argument).join(" ")}\n.ad l\n.nh`
export const section = (name: string): string => `.SH ${argument(escaped(name))}`
export const subsection = (name: string): string => `.SS ${argument(escaped(name))}`
/** `tag` and `body` are roff already. */
export const item = (tag: string, body: string): string => `.TP\n${tag}\n${body}`
export const paragraph = (text: string): string => `.PP\n${escaped(text)}`
export const example = (lines: ReadonlyArray<string>): string =>
  `.PP\n.RS 4\n.nf\n${lines.map(escaped).join("\n")}\n.fi\n.RE`
