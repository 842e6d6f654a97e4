/*
 * What the tests need of another process, without an engine of JavaScript in it: peer.ts starts it.
 *
 *   datagram PATH    binds a datagram socket there ('@': abstract), prints the first that comes
 *   datagrams PATH   the same, prints all that come until it is killed
 *   hold FD          maps a page of FD and closes it; a line on stdin: unmaps it
 *   leave FD         the same in a process whose parent, which mapped it, has ended
 *   send PATH        sends "abc" with three descriptors, then "def", in one piece each
 *   own DIRECTORY    locks it (flock(2)) until a line comes on stdin
 *   activate PATH WORDS…   runs a command with a socket that listens there, as service managers do
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

static void say(const char *line) {
  printf("%s\n", line);
  fflush(stdout);
}

static int fail(const char *what) {
  perror(what);
  return 1;
}

static void wait_for_line(void) {
  char line[64];
  if (fgets(line, sizeof line, stdin) == NULL) exit(0);
}

static socklen_t address_at(const char *path, struct sockaddr_un *address) {
  *address = (struct sockaddr_un){.sun_family = AF_UNIX};
  strncpy(address->sun_path, path, sizeof address->sun_path - 1);
  if (path[0] == '@') address->sun_path[0] = '\0';
  return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path) + (path[0] != '@'));
}

static int datagram(const char *path, int forever) {
  struct sockaddr_un address;
  socklen_t length = address_at(path, &address);
  char text[4096];
  int fd = socket(AF_UNIX, SOCK_DGRAM, 0);
  if (bind(fd, (struct sockaddr *)&address, length) != 0) return fail("bind");
  say("bound");
  do {
    ssize_t got = recv(fd, text, sizeof text, 0);
    if (got < 0) return fail("recv");
    fwrite(text, 1, (size_t)got, stdout);
    if (forever) say("");
  } while (forever);
  return 0;
}

/* With the descriptor closed, the mapping alone is left. */
static void *map_page(int fd, size_t *length) {
  struct stat stat;
  if (fstat(fd, &stat) != 0) exit(fail("fstat"));
  /* A huge page where those are its pages. */
  *length = (size_t)stat.st_blksize;
  void *page = mmap(NULL, *length, PROT_READ, MAP_SHARED, fd, 0);
  if (page == MAP_FAILED) exit(fail("mmap"));
  close(fd);
  return page;
}

static int hold_until_told(void *page, size_t length) {
  say("mapped");
  wait_for_line();
  munmap(page, length);
  say("unmapped");
  wait_for_line();
  return 0;
}

static int hold(int fd) {
  size_t length;
  void *page = map_page(fd, &length);
  return hold_until_told(page, length);
}

/* This process only waits; its child maps, and ends when that has a child of its own. */
static int leave(int fd) {
  int gone[2], done[2];
  char byte;
  if (pipe(gone) != 0 || pipe(done) != 0) return fail("pipe");
  pid_t child = fork();
  if (child == 0) {
    size_t length;
    void *page = map_page(fd, &length);
    if (fork() != 0) _exit(0);
    close(gone[1]);
    if (read(gone[0], &byte, 1) != 0) return fail("read");
    return hold_until_told(page, length);
  }
  close(fd);
  close(done[1]);
  if (waitpid(child, NULL, 0) != child) return fail("waitpid");
  close(gone[1]);
  return read(done[0], &byte, 1) == 0 ? 0 : fail("read");
}

static int send_loosely(const char *path) {
  struct sockaddr_un address;
  socklen_t length = address_at(path, &address);
  union {
    struct cmsghdr first;
    char bytes[CMSG_SPACE(3 * sizeof(int))];
  } control = {.first = {CMSG_LEN(3 * sizeof(int)), SOL_SOCKET, SCM_RIGHTS}};
  const int fds[3] = {0, 1, 2};
  memcpy(CMSG_DATA(&control.first), fds, sizeof fds);
  struct iovec part = {"abc", 3};
  struct msghdr message = {
      .msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
  int fd = socket(AF_UNIX, SOCK_STREAM, 0);
  if (connect(fd, (struct sockaddr *)&address, length) != 0) return fail("connect");
  if (sendmsg(fd, &message, 0) != 3 || send(fd, "def", 3, 0) != 3) return fail("send");
  say("sent");
  wait_for_line();
  return 0;
}

static int activate(const char *path, char **words) {
  struct sockaddr_un address;
  socklen_t length = address_at(path, &address);
  char pid[16];
  int fd = socket(AF_UNIX, SOCK_STREAM, 0);
  if (bind(fd, (struct sockaddr *)&address, length) != 0 || listen(fd, 8) != 0) return fail(path);
  if (fd != 3) {
    dup2(fd, 3);
    close(fd);
  }
  snprintf(pid, sizeof pid, "%d", getpid());
  setenv("LISTEN_PID", pid, 1);
  setenv("LISTEN_FDS", "1", 1);
  setenv("LISTEN_FDNAMES", "control", 1);
  execv(words[0], words);
  return fail(words[0]);
}

static int own(const char *directory) {
  int fd = open(directory, O_RDONLY | O_DIRECTORY);
  if (fd < 0 || flock(fd, LOCK_EX) != 0) return fail("flock");
  say("locked");
  wait_for_line();
  return 0;
}

int main(int count, char **words) {
  if (count > 3 && strcmp(words[1], "activate") == 0) return activate(words[2], words + 3);
  if (count != 3) return 2;
  if (strcmp(words[1], "datagram") == 0) return datagram(words[2], 0);
  if (strcmp(words[1], "datagrams") == 0) return datagram(words[2], 1);
  if (strcmp(words[1], "hold") == 0) return hold(atoi(words[2]));
  if (strcmp(words[1], "leave") == 0) return leave(atoi(words[2]));
  if (strcmp(words[1], "send") == 0) return send_loosely(words[2]);
  if (strcmp(words[1], "own") == 0) return own(words[2]);
  return 2;
}
