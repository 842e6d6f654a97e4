/*
 * Loaded before other libraries: the patience of TCP is divided by what the environment says
 * (HOLDFAST_SOONER), so that a test of what a peer that is gone leads to takes seconds. What is
 * run is the same.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/socket.h>

typedef int (*set_option)(int, int, int, const void *, socklen_t);

static int divisor(void) {
  const char *text = getenv("HOLDFAST_SOONER");
  int number = text == NULL ? 1 : atoi(text);
  return number < 1 ? 1 : number;
}

int setsockopt(int fd, int level, int name, const void *value, socklen_t length) {
  set_option real = (set_option)dlsym(RTLD_NEXT, "setsockopt");
  int patience = level == IPPROTO_TCP &&
                 (name == TCP_USER_TIMEOUT || name == TCP_KEEPIDLE || name == TCP_KEEPINTVL);
  if (!patience || length != sizeof(int)) return real(fd, level, name, value, length);
  int sooner = *(const int *)value / divisor();
  if (sooner < 1) sooner = 1;
  return real(fd, level, name, &sooner, sizeof sooner);
}
