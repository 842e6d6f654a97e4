/** What holdfast(1) says beside the list of commands: how to administer volumes. */

export interface GuideSection {
  readonly title: string
  readonly body: ReadonlyArray<
    | string
    | { readonly lines: readonly string[] }
    | { readonly items: ReadonlyArray<readonly [term: string, text: string]> }
  >
}

export const GUIDE_BEFORE: readonly GuideSection[] = [
  {
    title: 'DESCRIPTION',
    body: [
      'Holdfast keeps files and directories in a region: memory that is mapped, in a file on tmpfs ' +
        'or hugetlbfs, on persistent memory, or in an ordinary file. Every operation survives a ' +
        'crash at any instruction whole or not at all. There is no daemon and no mount: programs ' +
        'open the volume in the region themselves, and so does this command.',
      'A volume is made once with `holdfast mkfs` and then used by naming files in it:',
      {
        lines: [
          'holdfast mkfs --size 1G --label models /dev/shm/v.hf',
          'holdfast cp -r ./photos /dev/shm/v.hf:/',
          'holdfast ls -l /dev/shm/v.hf:/photos',
          'holdfast df -h /dev/shm/v.hf',
          'holdfast fsck /dev/shm/v.hf',
        ],
      },
    ],
  },
  {
    title: 'NAMES ON THE COMMAND LINE',
    body: [
      {
        items: [
          [
            'REGION',
            'the path of a region: a file, or a device-DAX node as /dev/dax0.0. A volume is named by ' +
              'its region; one that is served also by the path of its socket.',
          ],
          [
            'VOLUME:PATH',
            'a file in the volume of a region, split at the first `:/`, as /dev/shm/v.hf:/photos/a.jpg. ' +
              'Names are bytes: any but `/` and NUL, UTF-8 or not.',
          ],
          [
            'hf://HOST:PORT/PATH',
            'a file of a volume that another host serves (`holdfast serve --listen`); port 7174 unless ' +
              'given, an IPv6 address in brackets. PATH is bytes as they are: nothing is encoded, and ' +
              '%20 is three characters. `--key FILE` or HOLDFAST_KEY names the key.',
          ],
          ['SIZE', 'bytes, or with K, M, G, T for powers of 1024: 4K, 2M, 1.5G.'],
          ['--', 'what follows is no option, whatever it begins with.'],
        ],
      },
      'A region that a process serves (`holdfast serve`) is reached through it, by the same names and ' +
        'with the same results; who may open the region itself, or runs the server, asks as root does ' +
        'there too, everybody else as who they are. What is about the region as a whole wants the ' +
        'server stopped: `resize`, `label`, `fsck --repair`.',
      'Options are those of the GNU tools of the same names where there are some. `--json` is there ' +
        'wherever something is listed or shown; times in it are UTC with nanoseconds, and a name that ' +
        'is no UTF-8 has its bytes beside it, in base64, under nameBase64 or pathBase64.',
    ],
  },
]

export const GUIDE_AFTER: readonly GuideSection[] = [
  {
    title: 'REGIONS',
    body: [
      'What a region can do depends on where it is. `holdfast doctor REGION` measures it and shows the ' +
        'command that mends each shortcoming.',
      {
        items: [
          [
            '/dev/shm/NAME (tmpfs), hugetlbfs',
            'memory of the machine: the fastest, gone when the machine restarts. A crash of a program ' +
              'harms nothing. Huge pages make mappings of large files cheaper: mount tmpfs with ' +
              'huge=within_size, or use hugetlbfs.',
          ],
          [
            '/dev/daxN.M, a file on a filesystem with DAX',
            'persistent memory: survives power cuts; every operation is durable when it returns.',
          ],
          [
            'a file on a disk',
            'survives power cuts; operations are durable in groups, at the next sync and at the latest ' +
              'after five seconds, unless the volume was made with --sync always.',
          ],
        ],
      },
      'A region file belongs to one user: who may read or write it may read or write every file in ' +
        'it, whatever the modes inside say. Keep it at mode 0600. It should have no holes ' +
        '(`holdfast mkfs` makes none): a store into a hole needs space of the host.',
    ],
  },
  {
    title: 'WHO HAS IT OPEN',
    body: [
      'A process that writes to a volume has it alone. Commands that only read (ls, tree, stat, du, df, ' +
        'cat, readlink, extents, lsattr, xattr list and get, facl without changes, cp out of it) share ' +
        'it with each other. Who comes in the way gets EBUSY with the name of the process. The lock ' +
        'goes with the process, however it ends. `holdfast info`, `doctor`, `dump` and `df` look at a ' +
        'volume also while another process has it open.',
    ],
  },
  {
    title: 'DURABILITY',
    body: [
      'With sync always (the default in memory and on persistent memory) what changes names, sizes and ' +
        'attributes is durable when the command or call returns. With sync group (the default on ' +
        'ordinary files) it is whole or not at all, and durable when the volume is closed, at a sync, ' +
        'or within five seconds. This command closes what it opened: when it is done, it is durable. ' +
        '`holdfast mkfs --sync` chooses the default of a volume; `holdfast info` shows it.',
    ],
  },
  {
    title: 'AFTER A CRASH',
    body: [
      'Nothing has to be done: the next one to open the volume for writing replays its log, in ' +
        'milliseconds; who opens it for reading does so in memory. `holdfast fsck` checks a volume ' +
        'against every rule of its format:',
      {
        lines: [
          'holdfast fsck v.hf                      # look, change nothing',
          'holdfast fsck --repair --dry-run v.hf   # say what would be done',
          'holdfast fsck --repair v.hf             # do it',
        ],
      },
      'Files that lost their names are in /lost+found afterwards. Before a repair of something precious ' +
        'copy the region: cp v.hf v.hf.before. `holdfast dump` shows any structure, field by field.',
    ],
  },
  {
    title: 'SPACE',
    body: [
      'A volume that is too small grows, while nobody has it open, up to what mkfs --max-size provided ' +
        'for (eight times its first size by default): `holdfast resize --size 2G v.hf`. With a smaller size ' +
        'it shrinks: what is behind its new end moves, as far as there is room and no file there is fixed.',
      '`holdfast df` shows how full volumes are, `holdfast du` what takes the space. Some blocks are ' +
        'kept back so that rm, truncate and punch work on a full volume. Sparse files take only the ' +
        'blocks of their data; `holdfast punch` frees a range, `holdfast fallocate` takes one, with ' +
        '--contiguous in one run or not at all. `holdfast extents` shows where the blocks of a file are.',
    ],
  },
  {
    title: 'LAYOUTS',
    body: [
      'The blocks of a file stay where they are unless something moves them: `holdfast extents` shows ' +
        'them and the layout id, which changes whenever one does. Programs hold ranges of files (pins, ' +
        'direct mappings, leases), and what would change the layout under them is refused, waits, or ' +
        'is put off. An error says whose hold is in the way, and what for.',
      {
        items: [
          [
            'holdfast fix, unfix, seal-writes',
            'a file whose layout, or data too, does not change, also while nobody has it open',
          ],
          [
            'holdfast policy, mkfs --policy',
            'what truncate and punch do to pinned blocks: busy refuses, wait waits for the pins to ' +
              'end, defer does it and frees the blocks later',
          ],
          [
            'holdfast reflink, snapshot, cp --reflink',
            'clones of a file or tree, which share blocks until one of the two is written to',
          ],
          [
            'holdfast defrag, evacuate',
            'moves files into one run, or out of a range of the region',
          ],
          [
            'holdfast mkfs --static',
            'a volume whose files never share, move, or lose blocks but at their end',
          ],
        ],
      },
    ],
  },
  {
    title: 'BACKUP',
    body: [
      'The content, with owners, links, attributes, ACLs, times and holes:',
      { lines: ['holdfast cp -a v.hf:/ ./backup', 'holdfast cp -a ./backup/. other.hf:/'] },
      'As of one point in time, while files go on being written: a snapshot in the volume is copied ' +
        'out, and removed.',
      {
        lines: [
          'holdfast snapshot v.hf:/data v.hf:/data.now',
          'holdfast cp -a v.hf:/data.now ./backup',
          'holdfast rm -r v.hf:/data.now',
        ],
      },
      'Or the region as it is, while nobody has the volume open for writing:',
      { lines: ['cp --sparse=never /dev/shm/v.hf ./v.hf'] },
    ],
  },
  {
    title: 'USERS AND PERMISSIONS',
    body: [
      'Modes, owners, ACLs and flags are stored and enforced for whoever a program names as asking. ' +
        'This command asks as root does inside the volume, and makes new files for the user who runs ' +
        'it. Owners are numbers; where a name is taken it is looked up on this host.',
    ],
  },
  {
    title: 'EXIT STATUS',
    body: [
      {
        items: [
          ['0', 'done'],
          ['1', 'failed; one line on standard error tells what, where, and often the remedy'],
          ['2', 'the command line was wrong'],
          ['130, 143', 'interrupted (^C), terminated: nothing half done is left'],
          ['other', '`holdfast pin`, `seal`, `lease`: of the command that ran under the hold'],
        ],
      },
      '`holdfast fsck` has those of e2fsck(8): 0 clean, 1 errors repaired, 4 errors left, 8 could not ' +
        'check. `holdfast doctor` exits with 1 when the region cannot be used as it is.',
    ],
  },
  {
    title: 'ERRORS',
    body: [
      'A failure names the errno, as Linux has it: `holdfast: cat: ENOENT: no such file or directory, ' +
        "'v.hf:/a'`. Those about the volume itself:",
      {
        items: [
          ['ENODEV', 'there is no volume in the region: `holdfast mkfs` makes one'],
          ['EBUSY', 'another process has it open, or a pin is in the way; the message says which'],
          ['ENOTCONN', 'nobody serves the volume, and holds are those of the clients of a server'],
          ['ETXTBSY', 'blocks are mapped directly; the message says by whom'],
          ['EPERM', 'the file is fixed (`holdfast unfix`), write-sealed, or has a flag of chattr'],
          ['EUCLEAN', 'a structure is damaged: `holdfast fsck`'],
          ['EIO', 'the medium failed; the volume takes no more changes until it is opened again'],
          [
            'EROFS',
            'it was opened for reading, or has features that only a newer version may write',
          ],
          ['EOPNOTSUPP', 'the region, or the type of the file, does not have this'],
          ['ENOSPC', 'the volume is full, or has no run of blocks that is long enough'],
        ],
      },
    ],
  },
  {
    title: 'FILES',
    body: [
      {
        items: [
          ['/dev/shm', 'the usual place of regions in memory'],
          ['/lost+found', 'in a volume: what a repair found without a name'],
          ['docs/SPEC.md', 'in the package: every byte of a volume'],
        ],
      },
    ],
  },
  {
    title: 'SHELL COMPLETION',
    body: [
      '`holdfast completion` prints a script that completes commands, options, and names in volumes:',
      {
        lines: [
          'source <(holdfast completion bash)',
          'holdfast completion zsh > "${fpath[1]}/_holdfast"',
          'holdfast completion fish > ~/.config/fish/completions/holdfast.fish',
        ],
      },
    ],
  },
]
