/** holdfast chown: owner and group. */
import type { Command } from 'commander'
import { parseOwnership, type Ownership } from '../accounts.js'
import { parseVolumeTargets, type VolumeTarget } from '../arguments.js'
import { examples, NO_FOLLOW_OPTION, RECURSIVE_OPTION } from '../options.js'
import { onVolumes } from '../session.js'
import { each } from '../walk.js'

interface Options {
  readonly recursive?: boolean
  readonly dereference: boolean
}

export function chownCommand(program: Command): Command {
  return program
    .command('chown')
    .summary('change owner and group')
    .description(
      'Gives each file to OWNER: a user, user:group, :group, or user: for their login group. Names ' +
        'are those of this host; a volume holds numbers, and numbers are taken too (+1000 is never a ' +
        'name). Set-user-id and set-group-id bits go, as on Linux. -R does not follow symbolic links.',
    )
    .argument('<owner>', 'USER, USER:GROUP, :GROUP', parseOwnership)
    .argument('<volume:path...>', 'files and directories', parseVolumeTargets)
    .option(...NO_FOLLOW_OPTION)
    .option(...RECURSIVE_OPTION)
    .addHelpText(
      ...examples(
        'holdfast chown root v.hf:/a.txt',
        'holdfast chown -R 1000:1000 v.hf:/home',
        'holdfast chown -h :users v.hf:/link',
      ),
    )
    .action(change)
}

async function change(owner: Ownership, targets: VolumeTarget[], options: Options): Promise<void> {
  const follow = options.dereference && options.recursive !== true
  await onVolumes(targets, 'write', async (volume, root) => {
    for await (const { path } of each(volume, root, { ...options, follow })) {
      await volume.chown(path, owner.uid, owner.gid, { follow })
    }
  })
}
