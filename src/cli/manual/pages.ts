/**
 * The manual: a page for each command, made of the same declarations as its --help, and
 * holdfast(1), which tells an administrator the rest.
 */
import type { Command, Help } from 'commander'
import { GUIDE_BEFORE, GUIDE_AFTER, type GuideSection } from './guide.js'
import { bold, heading, item, plain, prose, section, subsection, verbatim } from './roff.js'

/** Every page by its file name. */
export function manualPages(program: Command): Map<string, string> {
  const pages = new Map([['holdfast.1', mainPage(program)]])
  for (const command of commandsOf(program)) {
    pages.set(`holdfast-${command.name()}.1`, commandPage(program, command))
  }
  return pages
}

export function commandsOf(command: Command): Command[] {
  return command.commands.filter((below) => below.name() !== 'help')
}

function nameLine(name: string, summary: string): string {
  return section('NAME', `${plain(name)} \\- ${plain(summary)}\n`)
}

function mainPage(program: Command): string {
  const [about = ''] = program.description().split('\n')
  return [
    heading('holdfast', program.version() ?? ''),
    nameLine('holdfast', about.replace(/\.$/, '')),
    section('SYNOPSIS', `${bold('holdfast')} COMMAND [options] [arguments]\n`),
    ...GUIDE_BEFORE.map(guideSection),
    section('COMMANDS', commandList(program)),
    ...GUIDE_AFTER.map(guideSection),
    section('SEE ALSO', seeAlso(program)),
  ].join('')
}

function commandList(program: Command): string {
  const groups = new Map<string, string[]>()
  for (const command of commandsOf(program)) {
    const group = command.helpGroup().replace(/:$/, '')
    const text = `${command.summary()}; see holdfast-${command.name()}(1)`
    groups.set(group, [...(groups.get(group) ?? []), item(command.name(), text)])
  }
  const lists = [...groups].map(([group, items]) => subsection(group, items.join('')))
  return lists.join('')
}

function seeAlso(program: Command): string {
  const pages = commandsOf(program).map((command) => `${bold(`holdfast-${command.name()}`)}(1)`)
  return `${pages.join(',\n')}\n`
}

function guideSection({ title, body }: GuideSection): string {
  const parts = body.map((part) => {
    if (typeof part === 'string') return `.PP\n${prose(part)}\n`
    if ('lines' in part) return verbatim(part.lines)
    return part.items.map(([term, text]) => item(term, text)).join('')
  })
  return section(title, parts.join(''))
}

function commandPage(program: Command, command: Command): string {
  const name = `holdfast-${command.name()}`
  const below = commandsOf(command)
  const exits = below.length > 0 ? '' : exitStatus(command)
  return [
    heading(name, program.version() ?? ''),
    nameLine(name, command.summary()),
    section('SYNOPSIS', synopses([...(below.length > 0 ? below : [command])])),
    section('DESCRIPTION', `${prose(command.description())}\n`),
    below.length > 0
      ? section('COMMANDS', below.map((one) => subsection(one.name(), bodyOf(one))).join(''))
      : termsOf(command, section),
    ...notesOf(command),
    exits,
    section('SEE ALSO', `${bold('holdfast')}(1)\n`),
  ].join('')
}

function exitStatus(command: Command): string {
  if (/^Exit codes:/m.test(afterHelp(command))) return ''
  return section('EXIT STATUS', '0 done, 1 failed, 2 usage.\n')
}

function pathOf(command: Command): string {
  return command.parent === null ? command.name() : `${pathOf(command.parent)} ${command.name()}`
}

function synopses(commands: readonly Command[]): string {
  const lines = commands.map((command) => `${bold(pathOf(command))} ${plain(command.usage())}\n`)
  return lines.join('.br\n')
}

function bodyOf(command: Command): string {
  return `${prose(command.description())}\n${termsOf(command, (_title, body) => body)}`
}

/** Arguments and options. */
function termsOf(command: Command, wrap: (title: string, body: string) => string): string {
  const help: Help = command.createHelp()
  const args = help
    .visibleArguments(command)
    .map((argument) => item(help.argumentTerm(argument), help.argumentDescription(argument)))
  const options = help
    .visibleOptions(command)
    .map((option) => item(help.optionTerm(option), help.optionDescription(option)))
  const parts = [
    ['ARGUMENTS', args],
    ['OPTIONS', options],
  ] as const
  return parts
    .filter(([, items]) => items.length > 0)
    .map(([title, items]) => wrap(title, items.join('')))
    .join('')
}

/** What stands below the options in --help. */
function afterHelp(command: Command): string {
  let text = ''
  const write = (chunk: string) => void (text += chunk)
  // A Command is an EventEmitter, which its types do not say; addHelpText listens to this event.
  const emitter = command as unknown as NodeJS.EventEmitter
  emitter.emit('afterHelp', { error: false, command, write })
  return text
}

/** 'Examples:' and what is indented below it, 'Exit codes: 0 done, …': a section each. */
function notesOf(command: Command): string[] {
  const blocks = afterHelp(command).trim().split(/\n\n/)
  return blocks.flatMap((block) => {
    const found = /^([A-Z][\w ]*):[ \n]([^]*)$/.exec(block)
    if (found === null) return []
    const [, title = '', body = ''] = found
    const lines = body.split('\n')
    const examples = lines.every((line) => line.startsWith('  '))
    const shown = title.replace(/^Examples?$/, 'Examples').replace('Exit codes', 'Exit status')
    const text = examples ? verbatim(lines.map((line) => line.trim())) : `${prose(body)}\n`
    return [section(shown.toUpperCase(), text)]
  })
}
