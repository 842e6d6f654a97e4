/** holdfast completion: scripts that complete command lines. */
import { Argument, type Command } from 'commander'
import { completion, SHELLS, type Shell } from '../manual/completion.js'
import { examples } from '../options.js'
import { print } from '../output.js'

export function completionCommand(program: Command): Command {
  return program
    .command('completion')
    .summary('print a script that completes command lines in a shell')
    .description(
      'Prints the completion script for a shell: commands, options and what they may be, files, and ' +
        'after VOLUME:/ the names in the volume.',
    )
    .addArgument(new Argument('<shell>', 'which one').choices(SHELLS))
    .addHelpText(
      ...examples(
        'source <(holdfast completion bash)',
        'holdfast completion zsh > "${fpath[1]}/_holdfast"',
        'holdfast completion fish > ~/.config/fish/completions/holdfast.fish',
      ),
    )
    .action((shell: Shell) => print(completion(program, shell)))
}
