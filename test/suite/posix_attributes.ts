/** Cases: mode, owner, times, extended attributes, ACLs, and set-id bits that go. */
import type { PosixCase } from './posix.js'

export const attributeCases: PosixCase[] = [
  {
    name: 'chmod is for owners, and set-group-id for members of the group',
    steps: `
      root mkdir /d 777
      owner open 0 /d/f rw,creat 600
      owner chmod /d/f 7777
      root stat /d/f mode = 107777
      other chmod /d/f 600 = EPERM
      member chmod /d/f 600 = EPERM
      root chmod /d/f 640
      root stat /d/f mode = 100640
      owner fchmod 0 4711
      root stat /d/f mode = 104711
      root chown /d/f 1001 1003
      owner chmod /d/f 2755
      root stat /d/f mode = 100755
      root chmod /d/f 2755
      root stat /d/f mode = 102755
      owner mkdir /d/sub 755
      owner chmod /d/sub 7777
      root stat /d/sub mode = 47777
      root chown /d/sub 1001 0
      owner chmod /d/sub 2777
      root stat /d/sub mode = 40777
      root symlink f /d/l
      owner chmod /d/l 604
      root stat /d/f mode = 100604
      root lstat /d/l mode = 120777
    `,
  },
  {
    name: 'chown: root gives files away, owners hand them to groups of theirs',
    steps: `
      root mkdir /d 777
      owner open 0 /d/f rw,creat 600
      owner chown /d/f 1002 -1 = EPERM
      owner chown /d/f -1 1002 = EPERM
      owner chown /d/f -1 1001
      owner chown /d/f 1001 1001
      other chown /d/f -1 1003 = EPERM
      other chown /d/f -1 1001 = EPERM
      root chown /d/f 1002 1003
      member chown /d/f 1002 1001
      member chown /d/f -1 1002
      root stat /d/f uid,gid = 1002 1002
      owner chown /d/f 1001 -1 = EPERM
      root symlink f /d/l
      root lchown /d/l 1003 1003
      root lstat /d/l uid,gid = 1003 1003
      root stat /d/f uid = 1002
      root chown /d/l 1001 1001
      root stat /d/f uid,gid = 1001 1001
      other lchown /d/l -1 1001 = EPERM
      other lchown /d/l -1 1003
      root chown /d/f -1 4294967294
      root stat /d/f gid = 4294967294
      owner fchown 0 -1 1001
      root stat /d/f gid = 1001
    `,
  },
  {
    name: 'chown takes set-id bits away, from root too, and not from directories',
    steps: `
      root mkdir /d 777
      owner open 0 /d/f rw,creat 600
      root chmod /d/f 6755
      root chown /d/f 1001 1001
      root stat /d/f mode = 100755
      root chmod /d/f 6745
      root chown /d/f -1 1001
      root stat /d/f mode = 102745
      root chmod /d/f 6755
      owner chown /d/f -1 1001
      root stat /d/f mode = 100755
      root chmod /d/f 6745
      owner chown /d/f -1 1001
      root stat /d/f mode = 102745
      root chmod /d/f 1777
      root chown /d/f 1001 1001
      root stat /d/f mode = 101777
      owner mkdir /d/sub 777
      root chmod /d/sub 6777
      root chown /d/sub 1003 1003
      root stat /d/sub mode = 46777
      root chmod /d/f 6755
      root fchown 0 -1 -1
      root stat /d/f mode = 100755
      owner chmod /d/f 4755
      other chown /d/f -1 -1 = EPERM
      owner chmod /d/f 755
      other chown /d/f -1 -1
    `,
  },
  {
    name: 'a write, a truncate and an allocation take set-id bits away, but not from root',
    steps: `
      root mkdir /d 777
      owner open 0 /d/f rw,creat 600
      root open 1 /d/f rw 0
      root chmod /d/f 6755
      owner write 0 x 0 = 1
      root stat /d/f mode = 100755
      root chmod /d/f 6745
      owner write 0 x 0 = 1
      root stat /d/f mode = 102745
      root chmod /d/f 6755
      root write 1 x 0 = 1
      root stat /d/f mode = 106755
      owner ftruncate 0 100
      root stat /d/f mode = 100755
      root chmod /d/f 6755
      owner truncate /d/f 100
      root stat /d/f mode = 100755
      root chmod /d/f 6755
      root truncate /d/f 10
      root stat /d/f mode = 106755
      owner fallocate 0 grow 0 8192
      root stat /d/f mode = 100755
      root chmod /d/f 6755
      owner open 2 /d/f rw,trunc 0
      root stat /d/f mode = 100755
      root chmod /d/f 6755
      owner write 0 '' 0 = 0
      root write 1 {x*20} 0 = 20
      owner copy 0 50000 0 0 10 = 0
      root stat /d/f mode = 106755
      owner copy 0 0 0 50000 10 = 10
      root stat /d/f mode = 100755
      root chmod /d/f 6755
      root chown /d/f 1001 1003
      root chmod /d/f 2745
      owner write 0 x 0 = 1
      root stat /d/f mode = 100745
    `,
  },
  {
    name: 'utimes: owners set times, who may write sets them to now',
    steps: `
      root mkdir /d 777
      owner open 0 /d/f rw,creat 664
      owner utimes /d/f 1.5 2.000000009
      root stat /d/f atime,mtime = 1.500000000 2.000000009
      owner utimes /d/f omit 77
      root stat /d/f atime,mtime = 1.500000000 77.000000000
      owner utimes /d/f 78 omit
      root stat /d/f atime,mtime = 78.000000000 77.000000000
      other utimes /d/f 5 5 = EPERM
      other utimes /d/f now now = EACCES
      member utimes /d/f 5 5 = EPERM
      member utimes /d/f now omit = EPERM
      member utimes /d/f now 5 = EPERM
      member utimes /d/f now now
      other utimes /d/f omit omit
      root utimes /d/f -5.25 -1
      root stat /d/f atime,mtime = -5.250000000 -1.000000000
      root symlink f /d/l
      root lutimes /d/l 9 9
      root lstat /d/l atime,mtime = 9.000000000 9.000000000
      root utimes /d/l 3 4
      root stat /d/f atime,mtime = 3.000000000 4.000000000
      owner futimes 0 5 6
      root stat /d/f atime,mtime = 5.000000000 6.000000000
      root utimes /d/none 1 1 = ENOENT
      root utimes /d/none omit omit
    `,
  },
  {
    name: 'user attributes: made, replaced, listed, removed, by who may write',
    steps: `
      root mkdir /d 777
      owner open 0 /d/f rw,creat 644
      owner setxattr /d/f user.a one
      owner setxattr /d/f user.a two create = EEXIST
      owner setxattr /d/f user.b three replace = ENODATA
      owner setxattr /d/f user.a two replace
      owner setxattr /d/f user.b '' create
      other getxattr /d/f user.a = two
      other getxattr /d/f user.b = 
      other getxattr /d/f user.c = ENODATA
      other listxattr /d/f = user.a user.b
      other setxattr /d/f user.a x = EACCES
      other removexattr /d/f user.a = EACCES
      owner chmod /d/f 200
      owner getxattr /d/f user.a = EACCES
      owner setxattr /d/f user.c v
      owner chmod /d/f 400
      owner setxattr /d/f user.c v = EACCES
      other listxattr /d/f = user.a user.b user.c
      owner chmod /d/f 600
      owner removexattr /d/f user.a
      owner removexattr /d/f user.a = ENODATA
      owner setxattr /d/f user. x = EINVAL
      owner setxattr /d/f user x = EOPNOTSUPP
      owner setxattr /d/f other.a x = EOPNOTSUPP
      owner getxattr /d/f other.a = EOPNOTSUPP
      owner removexattr /d/f other.a = EOPNOTSUPP
      owner setxattr /d/f user.{n*250} v
      owner getxattr /d/f user.{n*250} = v
      owner setxattr /d/f user.{n*251} v = ERANGE
      owner getxattr /d/f user.{n*251} = ERANGE
      owner setxattr /d/f '' v = ERANGE
      owner setxattr /d/f user.big {v*65537} = E2BIG
    `,
  },
  {
    name: 'user attributes are for files and directories; of a sticky one for its owner',
    steps: `
      root mkdir /t 1777
      other setxattr /t user.a v = EPERM
      root setxattr /t user.a v
      other getxattr /t user.a = v
      other removexattr /t user.a = EPERM
      root mkdir /d 777
      other setxattr /d user.a v
      owner symlink none /d/l
      owner lsetxattr /d/l user.a v = EPERM
      owner lgetxattr /d/l user.a = ENODATA
      root lsetxattr /d/l user.a v = EPERM
      owner mknod /d/fifo 10666 0
      owner setxattr /d/fifo user.a v = EPERM
      owner getxattr /d/fifo user.a = ENODATA
      root lsetxattr /d/l trusted.a v
      root lgetxattr /d/l trusted.a = v
      root setxattr /d/fifo trusted.a v
      root lremovexattr /d/l trusted.a
      root lgetxattr /d/l trusted.a = ENODATA
    `,
  },
  {
    name: 'trusted attributes are for root alone, security ones for all to read',
    steps: `
      root mkdir /d 777
      owner open 0 /d/f rw,creat 666
      root setxattr /d/f trusted.a v
      root getxattr /d/f trusted.a = v
      owner getxattr /d/f trusted.a = ENODATA
      owner setxattr /d/f trusted.a v = EPERM
      owner removexattr /d/f trusted.a = EPERM
      owner listxattr /d/f = 
      root listxattr /d/f = trusted.a
      root setxattr /d/f security.a v
      other getxattr /d/f security.a = v
      owner setxattr /d/f security.a v = EPERM
      owner removexattr /d/f security.a = EPERM
      other listxattr /d/f = security.a
      root chmod /d/f 000
      other getxattr /d/f security.a = v
    `,
  },
  {
    name: 'an ACL lets in whom it names, under its mask, and chmod changes the mask',
    steps: `
      root mkdir /d 777
      owner open 0 /d/f rw,creat 600
      named open 1 /d/f r 0 = EACCES
      other setacl /d/f access u::6,u:1003:7,g::0,m::7,o::0 = EPERM
      owner setacl /d/f access u::6,u:1004:6,g::4,m::6,o::0
      root stat /d/f mode = 100660
      other getacl /d/f access = u::rw-,u:1004:rw-,g::r--,m::rw-,o::---
      named open 1 /d/f rw 0
      member open 1 /d/f r 0
      member open 1 /d/f w 0 = EACCES
      other open 1 /d/f r 0 = EACCES
      owner chmod /d/f 640
      other getacl /d/f access = u::rw-,u:1004:rw-,g::r--,m::r--,o::---
      named open 1 /d/f r 0
      named open 1 /d/f rw 0 = EACCES
      named truncate /d/f 0 = EACCES
      named chmod /d/f 666 = EPERM
      owner chmod /d/f 600
      named open 1 /d/f r 0 = EACCES
      owner setacl /d/f access u::6,g::4,o::4
      root stat /d/f mode = 100644
      root getacl /d/f access = ENODATA
      root listxattr /d/f = 
      owner setacl /d/f access u::6,g:1003:4,g::0,m::4,o::0
      other open 1 /d/f r 0
      other open 1 /d/f w 0 = EACCES
      root listxattr /d/f = system.posix_acl_access
      owner rmacl /d/f access
      root stat /d/f mode = 100640
      owner rmacl /d/f access
      other rmacl /d/f access = EPERM
      owner setxattr /d/f system.posix_acl_access abc = EINVAL
      owner setxattr /d/f system.posix_acl_access abcd = EOPNOTSUPP
      owner setxattr /d/f system.posix_acl_access \\x02\\x00\\x00\\x00
      owner setxattr /d/f system.posix_acl_access \\x02\\x00\\x00\\x00abcdefgh = EINVAL
      owner setxattr /d/f system.other v = EOPNOTSUPP
      owner symlink f /d/l
      owner lsetxattr /d/l system.posix_acl_access \\x02\\x00\\x00\\x00 = EOPNOTSUPP
      owner lgetxattr /d/l system.posix_acl_access = EOPNOTSUPP
    `,
  },
  {
    name: 'an ACL on a directory decides who walks it and makes names in it',
    steps: `
      root mkdir /d 700
      root setacl /d access u::7,u:1004:1,u:1003:7,g::0,m::7,o::0
      root open 0 /d/f rw,creat 666
      named stat /d/f mode = 100666
      named readdir /d = EACCES
      named mkdir /d/x 755 = EACCES
      other readdir /d = f
      other mkdir /d/x 755
      owner stat /d/f = EACCES
      root chmod /d 710
      other mkdir /d/y 755 = EACCES
      other stat /d/f mode = 100666
      root chmod /d 700
      other stat /d/f = EACCES
    `,
  },
  {
    name: 'a default ACL is what new files begin with, instead of the umask',
    steps: `
      root mkdir /d 777
      owner mkdir /d/a 755
      other setacl /d/a default u::7,g::7,o::7 = EPERM
      owner setacl /d/a default u::7,u:1004:6,g::5,m::7,o::0
      root stat /d/a mode = 40755
      root getacl /d/a access = ENODATA
      masked open 0 /d/a/f rw,creat 666
      root stat /d/a/f mode = 100660
      root getacl /d/a/f access = u::rw-,u:1004:rw-,g::r-x,m::rw-,o::---
      root getacl /d/a/f default = ENODATA
      masked mkdir /d/a/sub 777
      root stat /d/a/sub mode = 40770
      root getacl /d/a/sub access = u::rwx,u:1004:rw-,g::r-x,m::rwx,o::---
      root getacl /d/a/sub default = u::rwx,u:1004:rw-,g::r-x,m::rwx,o::---
      masked mknod /d/a/fifo 10640 0
      root getacl /d/a/fifo access = u::rw-,u:1004:rw-,g::r-x,m::r--,o::---
      masked symlink f /d/a/l
      root lgetxattr /d/a/l system.posix_acl_access = EOPNOTSUPP
      masked open 0 /d/a rw,tmpfile 666
      masked fstat 0 mode = 100660
      owner setacl /d/a default u::7,g::5,o::0
      masked open 0 /d/a/g rw,creat 666
      root stat /d/a/g mode = 100640
      root getacl /d/a/g access = ENODATA
      owner rmacl /d/a default
      root getacl /d/a default = ENODATA
      masked open 0 /d/a/h rw,creat 666
      root stat /d/a/h mode = 100640
      owner setacl /d/a/h default u::7,g::5,o::0 = EACCES
      other setacl /d/a/h default u::7,g::5,o::0 = EACCES
      owner rmacl /d/a/h default
    `,
  },
]
