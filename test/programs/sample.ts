/** A tree with everything that a file can have, for programs that copy it. */
import { Prng } from '../../src/base/prng.js'

const SEED = 20

/** A script that makes it in its directory, with so many files and more of each kind. */
export function sampleTree(files: number): string {
  const prng = new Prng(SEED)
  const lines = ['umask 022']
  for (let d = 0; d < 12; d++) lines.push(`mkdir -p d${d}/e${d}`)
  for (let i = 0; i < files; i++) {
    const path = `d${i % 12}/${i % 5 === 0 ? `e${i % 12}/` : ''}f${i}`
    const size = [0, 1, 100, 4095, 4096, 4097, 20_000, 300_000][prng.below(8)]!
    lines.push(
      `head -c ${size} <(seq ${prng.below(1e6)} 9999999) > ${path}`,
      `chown ${prng.below(3) * 1000}:${prng.below(3) * 500} ${path}`,
      `chmod ${['644', '600', '755', '4755', '2711', '400', '000'][prng.below(7)]!} ${path}`,
    )
    if (i % 10 === 0) lines.push(`ln ${path} d${prng.below(12)}/linked${i}`)
    if (i % 11 === 0) lines.push(`setfattr -n user.color -v "blue ${i}" ${path}`)
    if (i % 13 === 0) lines.push(`setfattr -n trusted.note -v 0x00ff${i % 10}0 ${path}`)
    if (i % 17 === 0) lines.push(`setfacl -m u:1000:r,g:500:rwx,m::rx ${path}`)
    lines.push(`touch -d @${1e9 + prng.below(7e8)}.${100_000_000 + prng.below(8e8)} ${path}`)
  }
  lines.push(
    'setfacl -d -m u:1000:rwx,o::- d1 && setfacl -m g:500:rx d2 && chmod 1777 d3',
    'setfattr -n user.big -v "$(head -c 3000 /dev/zero | tr "\\0" x)" d4/f4',
    'ln -s f1 d1/link && ln -s /nowhere/at/all d2/dangling && ln -s ../d3 d4/directory',
    'chown -h 7:8 d1/link && touch -h -d @1234567890.123456789 d1/link',
    'mkfifo -m 620 fifo && mknod null c 1 3 && mknod disk b 259 70000',
    'truncate -s 40M sparse && printf middle | dd of=sparse bs=1 seek=20M conv=notrunc status=none',
    'touch "$(printf "%0255d" 7)" "$(printf "new\\nline\\t \\\\ \\xff\\xc3")"',
    'deep=deep/$(printf "x/%.0s" $(seq 60)) && mkdir -p $deep && echo bottom > ${deep}file',
    'touch -d @1111111111.111111111 d1 d2 d3 d4 deep .',
  )
  return lines.join('\n')
}
