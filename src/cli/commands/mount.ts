/** holdfast mount: a volume as a directory. */
import { resolve } from 'node:path'
import type { Command } from 'commander'
import { parseVolume } from '../arguments.js'
import { addMountWords, noMountWords, type MountWords } from '../mount_options.js'
import { goToBackground, inBackground, letGo } from '../daemon.js'
import { describeMount, runMount } from '../mount.js'
import { examples } from '../options.js'
import { isRemote } from '../volume_name.js'

const DAEMON = ['-d', '--daemon']

interface Options {
  readonly options?: MountWords
  readonly daemon?: boolean
}

export function mountCommand(program: Command): Command {
  return program
    .command('mount')
    .summary('show a volume as a directory, to every program')
    .description(
      'Mounts a volume at a directory, by FUSE: that of a region, opened here, or reached through ' +
        'its server when it is open elsewhere; or that of another host. It stays in the ' +
        'foreground, and prints a line when programs can come in; SIGTERM, SIGINT and umount(8) end ' +
        'it. Root mounts for everybody, others with fusermount3 for themselves.',
    )
    .argument('<volume>', 'region with a volume, or hf://HOST:PORT', parseVolume)
    .argument('<directory>', 'where')
    .option(
      '-o, --options <list>',
      'divided by commas: ro, direct (default), cache, exclusive, allow_other, suid, dev, noexec, ' +
        'wait=SECONDS or hard (a lost server), key=FILE, and what mount(8) and fstab(5) have',
      addMountWords,
    )
    .option('-d, --daemon', 'goes to the background when it is mounted')
    .addHelpText(
      ...examples(
        'holdfast mount /dev/shm/v.hf /mnt',
        'holdfast mount -o cache,ro --key nic0.key hf://10.0.0.7:7174 /mnt',
      ),
    )
    .action(async (source: string, directory: string, { options, daemon }: Options) => {
      const words = options ?? noMountWords()
      const request = {
        // In the background it is asked for from elsewhere later.
        source: inBackground() && !isRemote(source) ? resolve(source) : source,
        directory,
        words,
        mounted: () =>
          new Promise<void>((done) => {
            // The directory that it was begun in may be unmounted.
            if (inBackground()) process.chdir('/')
            process.stdout.write(`${describeMount(request)}\n`, () => done())
          }),
      }
      if (daemon === true && !inBackground()) return goToBackground(DAEMON)
      if (inBackground()) letGo()
      await runMount(request)
    })
}
