/**
 * What takes a mount away when its server has died without doing so: a shell that waits for the end
 * of a pipe. Whoever is in the directory has ENOTCONN from then on, and whoever comes finds what
 * was there before the mount.
 */
import { spawn } from 'node:child_process'
import { escapedPath, type Mounted } from './mounting.js'

/**
 * Nothing was said before the end: who would have said it is dead. What is mounted above, or alive,
 * is left alone.
 */
const SCRIPT = `
read -r word
[ "$word" = done ] && exit
stat "$1" >/dev/null 2>&1 && exit
while read -r id parent device root at rest; do [ "$at" = "$2" ] && top=$id; done </proc/self/mountinfo
[ "$top" = "$3" ] || exit
umount -l -- "$1" 2>/dev/null || fusermount3 -u -z -- "$1" 2>/dev/null
`

/** Returns what is called when the mount has been taken away in order. */
export function watchMount({ directory, id }: Mounted): () => void {
  const args = ['-c', SCRIPT, 'holdfast-watchdog', directory, escapedPath(directory), id]
  const child = spawn('/bin/sh', args, {
    stdio: ['pipe', 'ignore', 'ignore'],
    // A terminal's signals end the server, not this.
    detached: true,
    cwd: '/',
  })
  // Without it the mount stays when the server dies: the next one cleans up.
  child.on('error', () => {})
  child.stdin.on('error', () => {})
  child.unref()
  return () => child.stdin.end('done\n')
}
