/** Text as man(7) wants it. */

/** Characters with a meaning to roff, made plain; `-` as the minus that a shell takes. */
export function plain(text: string): string {
  const escaped = text.replaceAll('\\', '\\e').replaceAll('-', '\\-').replaceAll("'", '\\(aq')
  return escaped
    .replace(/^([.'])/gm, '\\&$1')
    .replaceAll('^', '\\(ha')
    .replaceAll('~', '\\(ti')
}

/** Sentences: what is between backquotes is bold. */
export function prose(text: string): string {
  return text
    .split('`')
    .map((part, i) => (i % 2 === 1 ? `\\fB${plain(part)}\\fR` : plain(part)))
    .join('')
    .replace(/^([.'])/gm, '\\&$1')
}

export const bold = (text: string): string => `\\fB${plain(text)}\\fR`

/** A term, and what it is, indented. */
export const item = (term: string, text: string): string => `.TP\n${bold(term)}\n${prose(text)}\n`

/** Lines as they are. */
export function verbatim(lines: readonly string[]): string {
  return `.PP\n.RS 4\n.nf\n${lines.map(plain).join('\n')}\n.fi\n.RE\n`
}

export const section = (title: string, body: string): string => `.SH ${quoted(title)}\n${body}`
export const subsection = (title: string, body: string): string => `.SS ${quoted(title)}\n${body}`

const quoted = (title: string): string => `"${plain(title).replaceAll('"', '\\(dq')}"`

export function heading(name: string, version: string): string {
  // Ragged and unbroken: a command that is split at a hyphen is another command.
  return `.TH ${quoted(name.toUpperCase())} 1 "" "holdfast ${version}" "Holdfast"\n.nh\n.ad l\n`
}
