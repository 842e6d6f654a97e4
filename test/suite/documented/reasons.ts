/** Why no case of the table has an errno that a manual page documents. */

export interface Reason {
  readonly text: string
  /** The test that has it instead. */
  readonly test?: string
}

export const REASONS: Readonly<Record<string, Reason>> = {
  quota: { text: 'volumes have no quotas' },
  memory: { text: "the kernel's own memory has run out, which nobody can ask for" },
  files: { text: 'all files of the machine are open, which is no state for a test' },
  lost: {
    text: 'the server of a mount is lost, or the medium has lost what is there',
    test: 'test/mount/lost_server.test.ts',
  },
  waits: {
    text: 'such a call waits for holds alone, and a signal ends that',
    test: 'test/mount/policy.test.ts',
  },
  deadlock: { text: 'two processes are needed', test: 'test/mount/locks.test.ts' },
  links: { text: 'an inode has up to 2^31-1 links, more than a volume has room for' },
  names: { text: 'every name is a good one: any bytes but a slash' },
  device: { text: 'devices cannot be opened through a mount, which is nodev' },
  seals: { text: 'seals of fcntl(2) are for memfd_create(2) alone' },
  sockets: { text: 'it is of sockets, pipes and timers, which no filesystem reads or writes' },
  swap: { text: 'swapon(2) takes no file of a FUSE mount' },
  wide: { text: 'a program of 64 bits has it never' },
  able: { text: 'volumes do support that' },
  never: { text: 'Linux never answers so: the page has it from POSIX, or for other systems' },
  old: { text: 'kernels that are supported know the call' },
  changed: { text: 'Linux 6.12 has made it EOPNOTSUPP' },
  modules: { text: 'the kernel itself has to read the file, as a module' },
  sysctl: { text: 'it is a policy of the machine, above every filesystem' },
  network: { text: 'it is of network filesystems, which write later' },
  fits: { text: 'no attribute and no list is longer than the kernel takes' },
  alignment: { text: 'O_DIRECT wants no alignment here, as on tmpfs' },
  mapped: { text: 'mandatory locks are no more: Linux 5.15 took them away' },
  machine: { text: 'limits of the whole machine or user, not of a filesystem' },
}
