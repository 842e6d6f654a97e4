/* What the calls of the tests have in common: arguments, open files, the answer. */
#ifndef HOLDFAST_TEST_CALLS_H
#define HOLDFAST_TEST_CALLS_H

#include <stddef.h>

#define SLOTS 64
#define TEXT 70000
#define ARGUMENTS 8

/* Descriptors by the numbers that lines have for them; -1 where nothing is open. */
extern int slots[SLOTS];
extern char answer[4 * TEXT];
extern char texts[ARGUMENTS][TEXT];
extern size_t lengths[ARGUMENTS];
extern long long numbers[ARGUMENTS];

#define PATH(i) texts[i]
#define NUMBER(i) numbers[i]
#define FILE_OF(i) slots[numbers[i] & (SLOTS - 1)]

/* Makes the call: less than 0 says that errno has the answer. */
struct call {
  const char *name;
  long (*run)(void);
};

/* Those of host_calls.c and program_calls.c; the last has no name. */
extern const struct call HOST_CALLS[];
extern const struct call PROGRAM_CALLS[];

long number_answer(long value);
void hex_answer(const char *bytes, size_t length);

/* Memory that the caller has too, for the bytes of files: a file of that many bytes. */
int share(int fd, size_t bytes);

#endif
