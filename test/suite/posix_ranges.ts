/** Cases: sizes, allocation, holes, copies. */
import type { PosixCase } from './posix.js'

export const rangeCases: PosixCase[] = [
  {
    name: 'truncate: of whom, to what',
    steps: `
      root mkdir /d 777
      owner open 0 /d/f rw,creat 644
      owner write 0 content 0
      other truncate /d/f 0 = EACCES
      owner truncate /d/f -1 = EINVAL
      owner ftruncate 0 -1 = EINVAL
      owner truncate /d/none 0 = ENOENT
      owner truncate /d 0 = EISDIR
      owner truncate /d/f 3
      owner read 0 10 0 = con
      owner truncate /d/f 5
      owner read 0 10 0 = con\0\0
      owner open 1 /d/f r 0
      owner ftruncate 1 0 = EINVAL
      owner open 1 /d r 0
      owner ftruncate 1 0 = EINVAL
    `,
  },
  {
    name: 'allocate grows the file or keeps its size, and leaves what is in it',
    steps: `
      root open 0 /f rw,creat 644
      root write 0 content 0
      root fallocate 0 keep 0 20000
      root stat /f size = 7
      root fallocate 0 grow 3 20000
      root stat /f size = 20003
      root read 0 9 0 = content\0\0
      root fallocate 0 grow 0 100
      root stat /f size = 20003
      root fallocate 0 grow 0 0 = EINVAL
      root fallocate 0 grow -1 10 = EINVAL
      root fallocate 0 grow 10 -1 = EINVAL
      root open 1 /f r 0
      root fallocate 1 grow 0 10 = EBADF
      root fallocate 1 grow 0 0 = EINVAL
      root open 1 /f w,append 0
      root fallocate 1 grow 0 30000
      root stat /f size = 30000
      root mkdir /d 755
      root open 1 /d r 0
      root fallocate 1 grow 0 10 = EBADF
    `,
  },
  {
    name: 'punch and zero-range: zeros, and the size as asked for',
    steps: `
      root open 0 /f rw,creat 644
      root write 0 {x*20000} 0
      root fallocate 0 punch 5000 10
      root read 0 12 4999 = x{\\x00*10}x
      root fallocate 0 punch 4096 8192
      root read 0 2 4095 = x\\x00
      root read 0 2 12287 = \\x00x
      root fallocate 0 punch 19990 100000
      root stat /f size = 20000
      root read 0 20 19985 = xxxxx{\\x00*10}
      root fallocate 0 punch 100000 10
      root stat /f size = 20000
      root fallocate 0 punch 0 0 = EINVAL
      root fallocate 0 punch -1 5 = EINVAL
      root fallocate 0 zero 10 5
      root read 0 7 9 = x{\\x00*5}x
      root fallocate 0 zerokeep 19999 5000
      root stat /f size = 20000
      root fallocate 0 zero 19000 5000
      root stat /f size = 24000
      root read 0 3 18998 = xx\\x00
      root fallocate 0 zero 5 0 = EINVAL
    `,
  },
  {
    name: 'collapse and insert move whole blocks, inside of the file',
    steps: `
      root open 0 /f rw,creat 644
      root write 0 {a*4096}{b*4096}{c*4096}{d*100} 0
      root fallocate 0 collapse 4096 4096
      root stat /f size = 8292
      root read 0 2 4095 = ac
      root read 0 4 8190 = ccdd
      root fallocate 0 insert 4096 8192
      root stat /f size = 16484
      root read 0 2 4095 = a\\x00
      root read 0 2 12287 = \\x00c
      root fallocate 0 collapse 100 4096 = EINVAL
      root fallocate 0 collapse 4096 100 = EINVAL
      root fallocate 0 insert 100 4096 = EINVAL
      root fallocate 0 insert 4096 100 = EINVAL
      root fallocate 0 collapse 0 0 = EINVAL
      root fallocate 0 collapse 12288 8192 = EINVAL
      root fallocate 0 collapse 0 20480 = EINVAL
      root fallocate 0 collapse 20480 4096 = EINVAL
      root fallocate 0 insert 16484 4096 = EINVAL
      root fallocate 0 insert 20480 4096 = EINVAL
      root fallocate 0 collapse 12288 4096
      root stat /f size = 12388
      root open 1 /f w,append 0
      root chattr /f +a
      root fallocate 1 collapse 0 4096 = EPERM
      root fallocate 1 insert 0 4096 = EPERM
      root fallocate 1 zero 0 4096 = EPERM
      root chattr /f -a
    `,
  },
  {
    name: 'seek finds data and holes, and ENXIO past the end',
    steps: `
      root open 0 /f rw,creat 644
      root seek 0 0 data = ENXIO
      root seek 0 0 hole = ENXIO
      root write 0 {x*4096} 8192
      root seek 0 0 data = 8192
      root seek 0 0 hole = 0
      root seek 0 8192 data = 8192
      root seek 0 8192 hole = 12288
      root seek 0 9000 data = 9000
      root seek 0 9000 hole = 12288
      root seek 0 12288 data = ENXIO
      root seek 0 12288 hole = ENXIO
      root seek 0 12287 hole = 12288
      root ftruncate 0 40960
      root seek 0 12288 data = ENXIO
      root seek 0 12288 hole = 12288
      root seek 0 40959 hole = 40959
      root seek 0 -1 data = ENXIO
      root fallocate 0 punch 8192 4096
      root seek 0 0 data = ENXIO
      root write 0 x 20480
      root seek 0 0 data = 20480
      root seek 0 20480 hole = 24576
    `,
  },
  {
    name: 'copy_file_range copies what is there, between handles that read and write',
    steps: `
      root open 0 /f rw,creat 644
      root write 0 {a*5000}{b*5000} 0
      root open 1 /g rw,creat 644
      root copy 0 0 1 0 20000 = 10000
      root read 1 4 4998 = aabb
      root copy 0 4998 1 100 4 = 4
      root read 1 6 99 = aaabba
      root copy 0 10000 1 0 5 = 0
      root copy 0 50000 1 0 5 = 0
      root copy 0 0 1 20000 10 = 10
      root stat /g size = 20010
      root copy 0 0 0 5000 100 = 100
      root copy 0 0 0 50 100 = EINVAL
      root copy 0 0 0 20000 100 = 100
      root stat /f size = 20100
      root open 2 /g r 0
      root copy 0 0 2 0 5 = EBADF
      root open 2 /g w 0
      root copy 2 0 1 0 5 = EBADF
      root copy 0 0 2 0 5 = 5
      root open 2 /g w,append 0
      root copy 0 0 2 0 5 = EBADF
      root mkdir /d 755
      root open 3 /d r 0
      root copy 3 0 1 0 5 = EISDIR
      root copy 0 0 3 0 5 = EISDIR
      root copy 0 0 1 0 0 = 0
    `,
  },
  {
    name: 'a file has at most 2^32 - 1 blocks: EFBIG for what would make it longer',
    steps: `
      root open 0 /f rw,creat 644
      root truncate /f 17592186040321 = EFBIG
      root ftruncate 0 17592186040321 = EFBIG
      root write 0 x 17592186040320 = EFBIG
      root fallocate 0 grow 17592186040320 1 = EFBIG
      root truncate /f 17592186040320
      root stat /f size = 17592186040320
      root fallocate 0 insert 0 4096 = EFBIG
      root open 1 /g rw,creat 644
      root write 1 content 0
      root copy 1 0 0 17592186040320 7 = EFBIG
      root seek 0 0 data = ENXIO
      root read 0 10 17592186040319 = \\x00
      root ftruncate 0 0
    `,
  },
]
