/** Completion for shells, of the same declarations as --help. */
import type { Command, Option } from 'commander'
import { commandsOf } from './pages.js'

export const SHELLS = ['bash', 'zsh', 'fish'] as const
export type Shell = (typeof SHELLS)[number]

export function completion(program: Command, shell: Shell): string {
  if (shell === 'bash') return bash(program)
  return shell === 'zsh' ? zsh(program) : fish(program)
}

interface Entry {
  /** 'ls', 'xattr get'. */
  readonly path: string
  readonly command: Command
}

/** Commands and the commands below them. */
function entriesOf(program: Command): Entry[] {
  return commandsOf(program).flatMap((command) => [
    { path: command.name(), command },
    ...commandsOf(command).map((below) => ({
      path: `${command.name()} ${below.name()}`,
      command: below,
    })),
  ])
}

/** Commands that have others below them. */
const nested = (program: Command): string[] =>
  commandsOf(program)
    .filter((command) => commandsOf(command).length > 0)
    .map((command) => command.name())

function optionsOf(command: Command): readonly Option[] {
  return command.createHelp().visibleOptions(command)
}

const flagsOf = (option: Option): string[] =>
  [option.short, option.long].filter((flag) => flag !== undefined)

/** What may come first: commands below it, or what an argument may be. */
function wordsOf(command: Command): string[] {
  const choices = command.registeredArguments.flatMap((argument) => argument.argChoices ?? [])
  return [...commandsOf(command).map((below) => below.name()), ...choices]
}

function bash(program: Command): string {
  const cases = entriesOf(program).map(({ path, command }) => {
    const options = optionsOf(command)
    const values = options
      .filter(({ argChoices }) => argChoices !== undefined)
      .map((one) => `      ${flagsOf(one).join('|')}) words='${one.argChoices!.join(' ')}' ;;\n`)
    const after = values.length === 0 ? '' : `    case $before in\n${values.join('')}    esac\n`
    const flags = options.flatMap(flagsOf).join(' ')
    const name = path.replaceAll(' ', '\\ ')
    return `  ${name})\n    flags='${flags}' words='${wordsOf(command).join(' ')}'\n${after}    ;;\n`
  })
  const commands = commandsOf(program).map((command) => command.name())
  return `# Completion of holdfast for bash: source <(holdfast completion bash)
_holdfast() {
  local line=\${COMP_LINE:0:COMP_POINT} cur before path flags words names
  local -a typed
  read -ra typed <<<"$line"
  # bash splits words at ':'; names in volumes are whole words here.
  cur=
  [[ $line == *[![:space:]] ]] && cur=\${typed[-1]} && unset 'typed[-1]'
  before=\${typed[-1]}
  COMPREPLY=()
  if ((\${#typed[@]} < 2)); then
    COMPREPLY=($(compgen -W '${commands.join(' ')} --help --version' -- "$cur"))
    return
  fi
  path=\${typed[1]}
  [[ $path == @(${nested(program).join('|')}) && \${#typed[@]} -gt 2 ]] && path+=" \${typed[2]}"
  case $path in
${cases.join('')}  esac
  if [[ $cur == -* ]]; then
    COMPREPLY=($(compgen -W "$flags" -- "$cur"))
  elif [[ $cur == hf://* ]]; then
    [[ $cur == hf://*/* ]] && _holdfast_names "$cur"
  elif [[ $cur == *:/* ]]; then
    _holdfast_names "$cur"
  else
    COMPREPLY=($(compgen -W "$words" -- "$cur"))
    [[ -z $words || \${#COMPREPLY[@]} -eq 0 ]] && COMPREPLY+=($(compgen -f -- "$cur"))
  fi
}

# Names in the directory of a volume; readline quotes them (-o filenames).
_holdfast_names() {
  local volume=\${1%%:/*}: path=/\${1#*:/} directory name start
  [[ $1 == hf://* ]] && path=\${1#hf://} && volume=hf://\${path%%/*} path=/\${path#*/}
  directory=\${path%/*}/
  start=$volume
  # Only what is behind the last colon is replaced then.
  [[ $COMP_WORDBREAKS == *:* ]] && start=\${volume##*:}
  local IFS=$'\\n'
  for name in $(holdfast ls -a "$volume$directory" 2>/dev/null); do
    [[ $directory$name == "$path"* ]] && COMPREPLY+=("$start$directory$name")
  done
  compopt -o nospace 2>/dev/null
}

complete -o filenames -F _holdfast holdfast
`
}

/** A text between single quotes of a shell. */
const quote = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`

function zsh(program: Command): string {
  const described = (command: Command) =>
    commandsOf(command).map((one) => `    ${quote(`${one.name()}:${one.summary()}`)}`)
  const specs = entriesOf(program).map(({ path, command }) => {
    const options = optionsOf(command).flatMap((option) => zshOption(option))
    const below = commandsOf(command)
    const choices = wordsOf(command)
    const words = choices.length > 0 && below.length === 0 ? `'*:word:(${choices.join(' ')})'` : ''
    const rest = below.length > 0 ? `'1:command:(${choices.join(' ')})'` : words
    const files = `'*:file:_holdfast_file'`
    return `    (${quote(path)}) _arguments -s ${[...options, rest === '' ? files : rest].join(' ')} ;;\n`
  })
  return `#compdef holdfast
# Completion of holdfast for zsh: holdfast completion zsh > "\${fpath[1]}/_holdfast"
_holdfast_file() {
  if [[ $PREFIX == *:/* && ($PREFIX != hf://* || $PREFIX == hf://*/*) ]]; then
    local volume=\${PREFIX%%:/*}: path=/\${PREFIX#*:/}
    if [[ $PREFIX == hf://* ]]; then
      path=\${PREFIX#hf://}
      volume=hf://\${path%%/*}
      path=/\${path#*/}
    fi
    local directory=\${path%/*}/
    local -a names
    names=(\${(f)"$(holdfast ls -a "$volume$directory" 2>/dev/null)"})
    compadd -S '' -p "$volume$directory" -- $names
  else
    _files
  fi
}

_holdfast() {
  local -a commands
  commands=(
${described(program).join('\n')}
  )
  if ((CURRENT == 2)); then
    _describe command commands
    return
  fi
  local name=$words[2]
  shift words
  ((CURRENT--))
  if [[ $name == (${nested(program).join('|')}) && CURRENT -gt 2 ]]; then
    name="$name $words[2]"
    shift words
    ((CURRENT--))
  fi
  case $name in
${specs.join('')}  esac
}

_holdfast "$@"
`
}

function zshOption(option: Option): string[] {
  const text = option.description.replace(/[[\]:]/g, '\\$&')
  const value = !option.required
    ? ''
    : option.argChoices === undefined
      ? ':value:_files'
      : `:value:(${option.argChoices.join(' ')})`
  return flagsOf(option).map((flag) => quote(`${flag}[${text}]${value}`))
}

function fish(program: Command): string {
  const lines = commandsOf(program).map(
    (command) =>
      `complete -c holdfast -n __fish_use_subcommand -f -a ${command.name()} -d ${fishQuote(command.summary())}`,
  )
  for (const { path, command } of entriesOf(program)) {
    const seen = path
      .split(' ')
      .map((word) => `__fish_seen_subcommand_from ${word}`)
      .join('; and ')
    const start = `complete -c holdfast -n ${fishQuote(seen)}`
    const words = wordsOf(command)
    if (words.length > 0) lines.push(`${start} -f -a ${fishQuote(words.join(' '))}`)
    else lines.push(`${start} -a '(__holdfast_names)'`)
    for (const option of optionsOf(command)) {
      const short = option.short === undefined ? '' : ` -s ${option.short.slice(1)}`
      const long = option.long === undefined ? '' : ` -l ${option.long.slice(2)}`
      const choices = option.argChoices?.join(' ')
      const values = choices === undefined ? '' : ` -f -a ${fishQuote(choices)}`
      const value = option.required ? ` -r${values}` : ''
      lines.push(`${start}${short}${long}${value} -d ${fishQuote(option.description)}`)
    }
  }
  return `# Completion of holdfast for fish:
#   holdfast completion fish > ~/.config/fish/completions/holdfast.fish
function __holdfast_names
    set -l word (commandline -ct)
    string match -q '*:/*' -- $word; or return
    set -l volume (string replace -r ':/.*' ':' -- $word)
    set -l path (string replace -r '^.*?:/' '/' -- $word)
    if string match -q 'hf://*' -- $word
        string match -q 'hf://*/*' -- $word; or return
        set volume (string match -r '^hf://[^/]*' -- $word)
        set path (string replace -r '^hf://[^/]*' '' -- $word)
    end
    set -l directory (string replace -r '[^/]*$' '' -- $path)
    for name in (holdfast ls -a "$volume$directory" 2>/dev/null)
        echo "$volume$directory$name"
    end
end

${lines.join('\n')}
`
}

/** A text between single quotes of fish, where a backslash escapes. */
function fishQuote(text: string): string {
  return `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`
}
