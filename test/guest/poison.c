/*
 * poison FILE OFFSET: the kernel takes the page of memory behind a byte of a file for broken, as it
 * does when the hardware reports that (madvise(2), MADV_HWPOISON). For a guest: the page stays out
 * of use until its next boot.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

enum { PAGE = 4096, HWPOISON = 100 };

int main(int count, char **words) {
  if (count != 3) return 2;
  int fd = open(words[1], O_RDWR);
  off_t offset = strtoll(words[2], NULL, 0) / PAGE * PAGE;
  volatile char *page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, offset);
  if (fd < 0 || page == MAP_FAILED) {
    perror(words[1]);
    return 1;
  }
  *page; /* the page is there */
  if (madvise((void *)page, PAGE, HWPOISON) != 0) {
    perror("madvise");
    return 1;
  }
  return 0;
}
