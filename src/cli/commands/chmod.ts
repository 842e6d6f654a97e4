/** holdfast chmod: permissions. */
import type { Command } from 'commander'
import { parseVolumeTargets, type VolumeTarget } from '../arguments.js'
import { parseModeChange, type ModeChange } from '../mode.js'
import { examples, RECURSIVE_OPTION } from '../options.js'
import { onVolumes } from '../session.js'
import { each } from '../walk.js'

export function chmodCommand(program: Command): Command {
  return program
    .command('chmod')
    .summary('change permissions')
    .description(
      'Gives each file the permissions of MODE: octal digits, which say all twelve bits, or clauses ' +
        'of u, g, o, a, then +, - or =, then some of r, w, x, X, s, t or one of u, g, o. X is x for ' +
        'directories and for what somebody may execute already. A clause without u, g, o or a leaves ' +
        'the bits of the umask alone. Symbolic links that -R meets are left alone.',
    )
    .argument('<mode>', 'octal, or clauses', (text) => parseModeChange(text, process.umask()))
    .argument('<volume:path...>', 'files and directories', parseVolumeTargets)
    .option(...RECURSIVE_OPTION)
    .allowUnknownOption() // `chmod -x`: a mode that looks like an option
    .addHelpText(
      ...examples(
        'holdfast chmod 640 v.hf:/a.txt',
        'holdfast chmod go-w,u+x v.hf:/script',
        'holdfast chmod -R a+rX v.hf:/models',
      ),
    )
    .action(change)
}

async function change(
  mode: ModeChange,
  targets: VolumeTarget[],
  options: { readonly recursive?: boolean },
): Promise<void> {
  await onVolumes(targets, 'write', async (volume, root) => {
    for await (const { path, stats } of each(volume, root, options)) {
      if (stats.type === 'symlink') continue
      await volume.chmod(path, mode(stats.mode, stats.isDirectory()))
    }
  })
}
