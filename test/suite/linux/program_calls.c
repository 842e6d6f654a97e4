/*
 * System calls with any arguments, as programs could make them: wrong flags, addresses that are
 * none, descriptors of every kind; and what is needed for them, as a program that runs.
 *
 * `sys SLOT NAME ARGUMENTS...`: the answer is what the call returns; a descriptor is kept in SLOT
 * unless that is less than 0. An argument is text:
 *
 *     /path 'text'    the address of the text
 *     @3              the descriptor in slot 3
 *     &100            the address of 100 bytes, of zeros
 *     u64(1,2,&)      the address of these numbers; & is the address of the bytes
 *     bad             an address where nothing is
 *     -1 0x10 0644    the number
 */
#define _GNU_SOURCE
#include "calls.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

#ifndef SYS_fchmodat2
#define SYS_fchmodat2 452
#endif
/* The first page of a process is never there. */
#define BAD_ADDRESS 8
#define NUMBERS 8
#define ROOM (1 << 20)

static char room[ROOM] __attribute__((aligned(4096)));
static uint64_t vectors[ARGUMENTS][NUMBERS];

static const struct {
  const char *name;
  long number;
} SYSCALLS[] = {
    {"chdir", SYS_chdir},
    {"close", SYS_close},
    {"copy_file_range", SYS_copy_file_range},
    {"dup3", SYS_dup3},
    {"faccessat2", SYS_faccessat2},
    {"fadvise64", SYS_fadvise64},
    {"fallocate", SYS_fallocate},
    {"fchdir", SYS_fchdir},
    {"fchmod", SYS_fchmod},
    {"fchmodat", SYS_fchmodat},
    {"fchmodat2", SYS_fchmodat2},
    {"fchown", SYS_fchown},
    {"fchownat", SYS_fchownat},
    {"fcntl", SYS_fcntl},
    {"fdatasync", SYS_fdatasync},
    {"fgetxattr", SYS_fgetxattr},
    {"flistxattr", SYS_flistxattr},
    {"flock", SYS_flock},
    {"fremovexattr", SYS_fremovexattr},
    {"fsetxattr", SYS_fsetxattr},
    {"fstat", SYS_fstat},
    {"fstatfs", SYS_fstatfs},
    {"fsync", SYS_fsync},
    {"ftruncate", SYS_ftruncate},
    {"getdents64", SYS_getdents64},
    {"getxattr", SYS_getxattr},
    {"ioctl", SYS_ioctl},
    {"lgetxattr", SYS_lgetxattr},
    {"linkat", SYS_linkat},
    {"listxattr", SYS_listxattr},
    {"llistxattr", SYS_llistxattr},
    {"lremovexattr", SYS_lremovexattr},
    {"lseek", SYS_lseek},
    {"lsetxattr", SYS_lsetxattr},
    {"mkdirat", SYS_mkdirat},
    {"mknodat", SYS_mknodat},
    {"mmap", SYS_mmap},
    {"mount", SYS_mount},
    {"newfstatat", SYS_newfstatat},
    {"openat", SYS_openat},
    {"pipe2", SYS_pipe2},
    {"pread64", SYS_pread64},
    {"preadv2", SYS_preadv2},
    {"prlimit64", SYS_prlimit64},
    {"pwrite64", SYS_pwrite64},
    {"pwritev2", SYS_pwritev2},
    {"read", SYS_read},
    {"readahead", SYS_readahead},
    {"readlinkat", SYS_readlinkat},
    {"readv", SYS_readv},
    {"removexattr", SYS_removexattr},
    {"renameat2", SYS_renameat2},
    {"setxattr", SYS_setxattr},
    {"statfs", SYS_statfs},
    {"statx", SYS_statx},
    {"symlinkat", SYS_symlinkat},
    {"sync_file_range", SYS_sync_file_range},
    {"syncfs", SYS_syncfs},
    {"truncate", SYS_truncate},
    {"unlinkat", SYS_unlinkat},
    {"utimensat", SYS_utimensat},
    {"write", SYS_write},
    {"writev", SYS_writev},
};

static long number_of(const char *name) {
  for (size_t i = 0; i < sizeof SYSCALLS / sizeof SYSCALLS[0]; i++) {
    if (strcmp(SYSCALLS[i].name, name) == 0) return SYSCALLS[i].number;
  }
  fprintf(stderr, "no system call %s\n", name);
  exit(1);
}

static long vector_of(int i, char *text) {
  int n = 0;
  for (char *one; (one = strsep(&text, ",)")) != NULL && *one != 0 && n < NUMBERS; n++) {
    vectors[i][n] = *one == '&' ? (uint64_t)(uintptr_t)room : strtoull(one, NULL, 0);
  }
  return (long)vectors[i];
}

static long argument(int i) {
  char *text = texts[i];
  if (lengths[i] == 0) return 0;
  if (text[0] == '/') return (long)text;
  if (text[0] == '\'') return (long)(text + 1);
  if (text[0] == '@') return slots[atoi(text + 1) & (SLOTS - 1)];
  if (strcmp(text, "bad") == 0) return BAD_ADDRESS;
  if (strncmp(text, "u64(", 4) == 0) return vector_of(i, text + 4);
  if (text[0] == '&') {
    memset(room, 0, ROOM);
    return (long)room;
  }
  return (long)strtoull(text, NULL, 0);
}

static long do_sys(void) {
  long number = number_of(PATH(1)), a[6] = {0};
  for (int i = 0; i < 6; i++) a[i] = argument(i + 2);
  long result = syscall(number, a[0], a[1], a[2], a[3], a[4], a[5]);
  if (result < 0 || NUMBER(0) < 0) return number_answer(result);
  if (FILE_OF(0) >= 0) close(FILE_OF(0));
  FILE_OF(0) = (int)result;
  return 0;
}

static void interrupt(int number) { (void)number; }

/* As sys, with a signal that comes again and again. */
static long do_interrupted(void) {
  struct sigaction action = {.sa_handler = interrupt};
  struct itimerval often = {{0, 20000}, {0, 20000}}, never = {{0, 0}, {0, 0}};
  sigaction(SIGALRM, &action, NULL);
  setitimer(ITIMER_REAL, &often, NULL);
  long result = do_sys();
  int why = errno;
  setitimer(ITIMER_REAL, &never, NULL);
  errno = why;
  return result;
}

/* A program that needs nothing beside itself, and waits for ever: pause(2), ppoll(2). */
#if defined(__x86_64__)
#define MACHINE EM_X86_64
static const unsigned char WAITS[] = {0xb8, 0x22, 0, 0, 0, 0x0f, 0x05, 0xeb, 0xf7};
#elif defined(__aarch64__)
#define MACHINE EM_AARCH64
static const unsigned char WAITS[] = {
    0x00, 0x00, 0x80, 0xd2, 0x01, 0x00, 0x80, 0xd2, 0x02, 0x00, 0x80, 0xd2, 0x03, 0x00, 0x80,
    0xd2, 0x28, 0x09, 0x80, 0xd2, 0x01, 0x00, 0x00, 0xd4, 0xfa, 0xff, 0xff, 0x17,
};
#else
#error "a program of this machine's instructions is wanted"
#endif

/* Writes it to a path. */
static long do_program(void) {
  struct {
    Elf64_Ehdr header;
    Elf64_Phdr segment;
    unsigned char code[sizeof WAITS];
  } file = {
      .header = {.e_ident = ELFMAG, .e_type = ET_EXEC, .e_machine = MACHINE, .e_version = 1},
      .segment = {.p_type = PT_LOAD, .p_flags = PF_R | PF_X, .p_align = 4096},
  };
  file.header.e_ident[EI_CLASS] = ELFCLASS64;
  file.header.e_ident[EI_DATA] = ELFDATA2LSB;
  file.header.e_ident[EI_VERSION] = EV_CURRENT;
  file.header.e_phoff = sizeof file.header;
  file.header.e_ehsize = sizeof file.header;
  file.header.e_phentsize = sizeof file.segment;
  file.header.e_phnum = 1;
  file.segment.p_vaddr = 0x400000;
  file.segment.p_filesz = file.segment.p_memsz = sizeof file;
  file.header.e_entry = file.segment.p_vaddr + offsetof(__typeof__(file), code);
  memcpy(file.code, WAITS, sizeof WAITS);
  int fd = open(PATH(0), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0755);
  if (fd < 0) return -1;
  ssize_t written = write(fd, &file, sizeof file);
  close(fd);
  return written == sizeof file ? 0 : -1;
}

/* Runs a path, as long as this process lives; the answer comes when it runs. */
static long do_execute(void) {
  int ends[2], why = 0;
  if (pipe2(ends, O_CLOEXEC) != 0) return -1;
  pid_t child = fork();
  if (child == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    execl(PATH(0), PATH(0), NULL);
    why = errno;
    _exit(write(ends[1], &why, sizeof why) == sizeof why ? 1 : 2);
  }
  close(ends[1]);
  ssize_t got = child < 0 ? -1 : read(ends[0], &why, sizeof why);
  close(ends[0]);
  errno = why;
  return child < 0 || got != 0 ? -1 : 0;
}

const struct call PROGRAM_CALLS[] = {
    {"sys", do_sys},
    {"interrupted", do_interrupted},
    {"program", do_program},
    {"execute", do_execute},
    {NULL, NULL},
};
