/** Cases: a volume without room is ENOSPC for every call that wants some, and loses nothing. */
import type { PosixCase } from './posix.js'

/** Blocks go to a file first, then what is left to names, the long ones before the short. */
const FULL = `
  root mkdir /d 777
  root mkdir /e 777
  root open 0 /d/f rw,creat 666
  root write 0 content 0
  root open 1 /d/empty rw,creat 666
  root open 2 /filler rw,creat 666
  root until ENOSPC write 2 {x*65536} -
  root until ENOSPC write 2 {x*4096} -
  root until ENOSPC write 2 x -
  root until ENOSPC mkdir /e/{d*200}# 755
  root until ENOSPC symlink {t*4000} /e/{s*200}#
  root until ENOSPC mknod /e/{f*200}# 10644 0
  root until ENOSPC link /d/f /e/{n*240}#
  root until ENOSPC setxattr /d/f user.# {v*4000}
`

export const fullCases: PosixCase[] = [
  {
    name: 'a full volume makes no names: ENOSPC, by whoever they are asked for',
    steps: `
      ${FULL}
      root mark /e
      root mark /d
      root mkdir /e/{D*255} 755 = ENOSPC
      other mkdir /e/{D*255} 755 = ENOSPC
      root mknod /e/{F*255} 10644 0 = ENOSPC
      owner mknod /e/{F*255} 100644 0 = ENOSPC
      root symlink {t*4000} /e/{S*255} = ENOSPC
      root link /d/f /e/{L*255} = ENOSPC
      root rename /d/empty /e/{R*255} = ENOSPC
      root open 3 /e/{O*255} rw,creat 644 = ENOSPC
      other open 3 /e/{O*255} rw,creat,excl 644 = ENOSPC
      root changed /e = -
      root changed /d = -
      root stat /d/empty size,nlink = 0 1
      root stat /e/{O*255} = ENOENT
      root readdir /d = empty f
    `,
  },
  {
    name: 'a full volume takes no bytes: ENOSPC, and those that are there are written over',
    steps: `
      ${FULL}
      root mark /d/empty
      root write 1 {x*8192} 0 = ENOSPC
      root fallocate 1 grow 0 1000000 = ENOSPC
      root fallocate 1 keep 0 1000000 = ENOSPC
      root setxattr /d/f user.more {v*4000} = ENOSPC
      root changed /d/empty = -
      root stat /d/empty size = 0
      root write 0 CONTENT 0 = 7
      root write 2 {y*4096} 0 = 4096
      root read 0 20 0 = CONTENT
      root getxattr /d/f user.more = ENODATA
    `,
  },
  {
    name: 'a full volume copies nothing: ENOSPC',
    steps: `
      ${FULL}
      root copy 2 1 1 0 50000 = ENOSPC
      root stat /d/empty size = 0
    `,
  },
  {
    name: 'what is cut from a full volume makes room again',
    steps: `
      ${FULL}
      root ftruncate 2 0
      root mkdir /e/{D*255} 755
      root write 1 {x*8192} 0 = 8192
      root fallocate 1 grow 0 100000
      root setxattr /d/f user.more {v*4000}
      root link /d/f /e/{L*255}
      root rename /d/empty /e/{R*255}
      root stat /e/{R*255} size = 100000
    `,
  },
]
