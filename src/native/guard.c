#define _GNU_SOURCE
#include "guard.h"

#include "addon.h"
#include "args.h"
#include "memory.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

enum { FAULTS_KEPT = 64 };

/*
 * The record of faults: written by the handler on any thread, read by takeFaults.
 *
 *   ticket 0 1 2 ... 63 | 64 65 ...      slot = ticket % 64; `ready` is ticket + 1 once the other
 *   ^taken              ^written         fields are valid, 0 while they are being written
 */
struct fault {
  _Atomic(uint64_t) ready;
  _Atomic(uint64_t) offset;
  _Atomic(uint64_t) length;
  _Atomic(uint64_t) memory;
  _Atomic(int) signal;
  _Atomic(int) code;
};

_Atomic(int32_t) guard_count;

static struct fault faults[FAULTS_KEPT];
static _Atomic(uint64_t) faults_written;
static uint64_t faults_taken;
static pthread_mutex_t take_lock = PTHREAD_MUTEX_INITIALIZER;

static struct sigaction previous_bus;
static struct sigaction previous_segv;

static void record(const struct memory *memory, uint64_t offset, uint64_t length, int signal,
                   int code) {
  uint64_t ticket = atomic_fetch_add(&faults_written, 1);
  struct fault *fault = &faults[ticket % FAULTS_KEPT];
  atomic_store(&fault->ready, 0);
  atomic_store(&fault->memory, memory->id);
  atomic_store(&fault->offset, offset);
  atomic_store(&fault->length, length);
  atomic_store(&fault->signal, signal);
  atomic_store(&fault->code, code);
  atomic_store(&fault->ready, ticket + 1);
  /* Last, so that who sees the counter move finds the record. */
  atomic_fetch_add(&guard_count, 1);
}

static struct memory *find_address(uintptr_t address, uint8_t **base) {
  uint64_t end = atomic_load_explicit(&memory_end, memory_order_acquire);
  for (uint64_t slot = 1; slot < end; slot++) {
    struct memory *memory =
        &memory_chunks[slot >> MEMORY_CHUNK_SHIFT][slot & (MEMORY_CHUNK - 1)];
    *base = atomic_load_explicit(&memory->base, memory_order_acquire);
    if (*base && address >= (uintptr_t)*base && address - (uintptr_t)*base < memory->span) {
      return memory;
    }
  }
  return NULL;
}

/*
 * Puts zeros over the fault, as few as the mapping there lets itself be cut: a page, or one huge
 * page of hugetlbfs or device DAX. The last resort, when the process may have no more mappings, is
 * the whole memory, which needs fewer than before.
 */
static bool cover(const struct memory *memory, uint8_t *base, uint64_t at, uint64_t *offset,
                  uint64_t *length) {
  static const uint64_t huge[] = {UINT64_C(64) << 10, UINT64_C(2) << 20, UINT64_C(32) << 20,
                                  UINT64_C(512) << 20, UINT64_C(1) << 30};
  uint64_t grain = memory_page_size;
  for (size_t i = 0; i <= sizeof huge / sizeof huge[0]; i++) {
    *offset = at / grain * grain;
    *length = memory->span - *offset < grain ? memory->span - *offset : grain;
    if (memory_overlay(base + *offset, *length) == 0) return true;
    if (i < sizeof huge / sizeof huge[0]) grain = huge[i] > grain ? huge[i] : grain;
  }
  *offset = 0;
  *length = memory->span;
  return memory_overlay(base, memory->span) == 0;
}

static uintptr_t program_counter(const void *context) {
  const ucontext_t *user = context;
#if defined(__x86_64__)
  return (uintptr_t)user->uc_mcontext.gregs[REG_RIP];
#else
  return (uintptr_t)user->uc_mcontext.pc;
#endif
}

/* Only what a page of zeros can cure: elsewhere the access would fault again for ever. */
static bool curable(int signal, const siginfo_t *details, const void *context) {
  if ((uintptr_t)details->si_addr == program_counter(context)) return false;
  if (signal == SIGBUS) {
    return details->si_code >= BUS_ADRERR && details->si_code <= 5 /* BUS_MCEERR_AO */;
  }
  return details->si_code == SEGV_MAPERR || details->si_code == SEGV_ACCERR;
}

/*
 * Ends as if no handler had been there. A real fault happens again when the instruction is run
 * again, now with the default action, so that core dump and exit status are the original ones; a
 * signal that somebody sent has to be sent again.
 */
static void default_action(int signal, siginfo_t *details, bool ignored) {
  bool sent = details->si_code <= 0;
  if (sent && ignored) return;
  struct sigaction action;
  memset(&action, 0, sizeof action);
  action.sa_handler = SIG_DFL;
  sigaction(signal, &action, NULL);
  if (sent) syscall(SYS_rt_tgsigqueueinfo, getpid(), syscall(SYS_gettid), signal, details);
}

/* What the kernel would have done for the handler that was there before. */
static void chain(int signal, siginfo_t *details, void *context) {
  const struct sigaction *previous = signal == SIGBUS ? &previous_bus : &previous_segv;
  if (previous->sa_handler == SIG_DFL || previous->sa_handler == SIG_IGN) {
    default_action(signal, details, previous->sa_handler == SIG_IGN);
    return;
  }
  sigset_t mask = previous->sa_mask;
  if (!(previous->sa_flags & SA_NODEFER)) sigaddset(&mask, signal);
  pthread_sigmask(SIG_BLOCK, &mask, NULL);
  if (previous->sa_flags & SA_NODEFER) {
    sigemptyset(&mask);
    sigaddset(&mask, signal);
    pthread_sigmask(SIG_UNBLOCK, &mask, NULL);
  }
  if (previous->sa_flags & (int)SA_RESETHAND) {
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = SIG_DFL;
    sigaction(signal, &action, NULL);
  }
  if (previous->sa_flags & SA_SIGINFO) {
    previous->sa_sigaction(signal, details, context);
  } else {
    previous->sa_handler(signal);
  }
}

/*
 * Poison that the kernel tells of before anybody met it: nothing stands still, and nothing is to be
 * covered. Who comes there gets BUS_MCEERR_AR.
 */
static bool told_early(int signal, const siginfo_t *details) {
  return signal == SIGBUS && details->si_code == 5 /* BUS_MCEERR_AO */;
}

/* Async-signal-safe: atomics, mmap and nothing else. */
static void handle(int signal, siginfo_t *details, void *context) {
  int saved = errno;
  uint8_t *base;
  uint64_t offset, length;
  struct memory *memory = details->si_code > 0 && curable(signal, details, context)
                              ? find_address((uintptr_t)details->si_addr, &base)
                              : NULL;
  uint64_t at = memory ? (uint64_t)((uint8_t *)details->si_addr - base) : 0;
  if (memory && told_early(signal, details)) {
    offset = at / memory_page_size * memory_page_size;
    record(memory, offset, memory_page_size, signal, details->si_code);
  } else if (memory && cover(memory, base, at, &offset, &length)) {
    record(memory, offset, length, signal, details->si_code);
  } else {
    chain(signal, details, context);
  }
  errno = saved;
}

void guard_start(void) {
  struct sigaction action;
  memset(&action, 0, sizeof action);
  action.sa_sigaction = handle;
  /* Not SA_NODEFER: a fault in the handler itself must kill, not recur. */
  action.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART;
  sigemptyset(&action.sa_mask);
  sigaction(SIGBUS, &action, &previous_bus);
  sigaction(SIGSEGV, &action, &previous_segv);
}

static bool set_value(napi_env env, napi_value object, const char *key, double number) {
  napi_value value;
  return napi_create_double(env, number, &value) == napi_ok &&
         napi_set_named_property(env, object, key, value) == napi_ok;
}

static bool append(napi_env env, napi_value list, uint32_t *count, const struct fault *fault) {
  napi_value object, name;
  const char *text = atomic_load(&((struct fault *)fault)->signal) == SIGBUS ? "SIGBUS" : "SIGSEGV";
  return napi_create_object(env, &object) == napi_ok &&
         set_value(env, object, "memory", (double)fault->memory) &&
         set_value(env, object, "offset", (double)fault->offset) &&
         set_value(env, object, "length", (double)fault->length) &&
         napi_create_string_utf8(env, text, NAPI_AUTO_LENGTH, &name) == napi_ok &&
         napi_set_named_property(env, object, "signal", name) == napi_ok &&
         set_value(env, object, "code", fault->code) &&
         napi_set_element(env, list, (*count)++, object) == napi_ok;
}

napi_value js_takeFaults(napi_env env, napi_callback_info info) {
  (void)info;
  napi_value list;
  uint32_t count = 0;
  if (napi_create_array(env, &list) != napi_ok) return NULL;
  pthread_mutex_lock(&take_lock);
  uint64_t end = atomic_load(&faults_written);
  if (end - faults_taken > FAULTS_KEPT) faults_taken = end - FAULTS_KEPT;
  while (faults_taken < end) {
    struct fault copy;
    struct fault *slot = &faults[faults_taken % FAULTS_KEPT];
    uint64_t ready = atomic_load(&slot->ready);
    /* Another thread is still writing it: the next call will find it. */
    if (ready < faults_taken + 1) break;
    copy.memory = atomic_load(&slot->memory);
    copy.offset = atomic_load(&slot->offset);
    copy.length = atomic_load(&slot->length);
    copy.signal = atomic_load(&slot->signal);
    copy.code = atomic_load(&slot->code);
    /* Overwritten meanwhile by a fault 64 later: this one is lost, the counter has it. */
    bool valid = ready == faults_taken + 1 && atomic_load(&slot->ready) == ready;
    faults_taken++;
    if (valid && !append(env, list, &count, &copy)) break;
  }
  pthread_mutex_unlock(&take_lock);
  return list;
}
