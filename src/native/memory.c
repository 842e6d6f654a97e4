#define _GNU_SOURCE
#include "memory.h"

#include "addon.h"
#include "args.h"
#include "spares.h"
#include "views.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

/* Older C libraries lack these numbers of the kernel's; they are the same on x86-64 and arm64. */
#ifndef MAP_SHARED_VALIDATE
#define MAP_SHARED_VALIDATE 0x03
#endif
#ifndef MAP_SYNC
#define MAP_SYNC 0x080000
#endif
#ifndef MAP_FIXED_NOREPLACE
#define MAP_FIXED_NOREPLACE 0x100000
#endif

/* MapFlag of the face. */
enum { MAP_FLAG_READ = 1, MAP_FLAG_WRITE = 2, MAP_FLAG_SYNC = 4, MAP_FLAG_POPULATE = 8 };

#define HUGE_PAGE (UINT64_C(2) << 20)
#define GIGANTIC_PAGE (UINT64_C(1) << 30)
/* What a 47-bit user address space can hold at all; keeps every sum of sizes far from overflow. */
#define SPAN_MAX (UINT64_C(1) << 47)

struct memory *memory_chunks[MEMORY_CHUNKS_MAX];
_Atomic(uint64_t) memory_end = 1;
size_t memory_page_size;

/*
 * Unmapped memories that no ArrayBuffer leads to, and whose addresses stay taken all the same:
 * native work of other threads may still have them. The engine says when it has let go of a backing
 * store, but only when the event loop turns; in a program that never comes back to it they would be
 * more and more, each one mapping of the kernel's. So the oldest go when there are more than these.
 */
enum { RETIRED_MAX = 64 };

/* Guards creation of entries and the list of retired ones; workers load the addon too. */
static pthread_mutex_t table_lock = PTHREAD_MUTEX_INITIALIZER;
/* Oldest first. */
static struct memory *retired_list;
static struct memory **retired_end = &retired_list;
static struct memory *free_list;
/* Retired entries that no ArrayBuffer leads to; and whose last backing store is gone. */
static _Atomic(uint32_t) retired_settled;
static _Atomic(uint32_t) retired_ready;

static uint64_t round_up(uint64_t number, uint64_t grain) {
  return (number + grain - 1) / grain * grain;
}

/*
 * Anonymous pages over a run of ours, also when the process has all the mappings that it may have.
 * The run is never unmapped first: when the kernel refuses, all is as it was.
 */
static int put_anonymous(uint8_t *start, size_t length, int protection) {
  const int kind = MAP_FIXED | MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
  int error;
  do {
    if (mmap(start, length, protection, kind, -1, 0) != MAP_FAILED) return 0;
    error = errno;
  } while (error == ENOMEM && spares_spend());
  return error;
}

int memory_overlay(uint8_t *start, size_t length) {
  return put_anonymous(start, length, PROT_READ | PROT_WRITE);
}

/*
 * Huge pages of a file can be mapped only at addresses aligned like them, so a run that is long
 * enough to hold one is aligned to one. Returns MAP_FAILED and sets errno as mmap does.
 */
static uint8_t *reserve_aligned(uint64_t span, int protection) {
  uint64_t grain = span >= GIGANTIC_PAGE ? GIGANTIC_PAGE
                   : span >= HUGE_PAGE   ? HUGE_PAGE
                                         : memory_page_size;
  uint64_t extra = grain - memory_page_size;
  uint8_t *start = mmap(NULL, span + extra, protection,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (start == MAP_FAILED || extra == 0) return start;
  uint64_t before = round_up((uintptr_t)start, grain) - (uintptr_t)start;
  if (before > 0) munmap(start, before);
  if (extra > before) munmap(start + before + span, extra - before);
  return start + before;
}

/* An entry that was never used; NULL when the table is full. */
static struct memory *extend_table(void) {
  uint64_t slot = atomic_load(&memory_end);
  if (slot >> MEMORY_CHUNK_SHIFT >= MEMORY_CHUNKS_MAX) return NULL;
  struct memory **chunk = &memory_chunks[slot >> MEMORY_CHUNK_SHIFT];
  if (*chunk == NULL) *chunk = calloc(MEMORY_CHUNK, sizeof(struct memory));
  if (*chunk == NULL) return NULL;
  struct memory *memory = &(*chunk)[slot & (MEMORY_CHUNK - 1)];
  atomic_store(&memory->id, slot);
  atomic_store_explicit(&memory_end, slot + 1, memory_order_release);
  return memory;
}

/* A new entry, not yet alive: the caller sets `base` last. NULL when the table is full. */
static struct memory *new_entry(napi_env env) {
  pthread_mutex_lock(&table_lock);
  struct memory *memory = free_list;
  if (memory != NULL) {
    free_list = memory->next;
    atomic_fetch_add(&memory->id, UINT64_C(1) << MEMORY_SLOT_BITS);
    memory->stores = 0;
    memory->loose = 0;
  } else {
    memory = extend_table();
  }
  if (memory != NULL) memory->env = env;
  pthread_mutex_unlock(&table_lock);
  return memory;
}

/* Holds table_lock. An entry whose next id were no exact number any more is used no more. */
static void free_entry(struct memory *memory) {
  if (atomic_load(&memory->id) >> MEMORY_SLOT_BITS >= SAFE_MAX >> MEMORY_SLOT_BITS) return;
  memory->next = free_list;
  free_list = memory;
}

/* Holds table_lock. False: the kernel refuses, as when it must cut a mapping and has none left. */
static bool give_back(struct memory *memory) {
  if (munmap(memory->retired, memory->span) != 0) return false;
  memory->retired = NULL;
  atomic_fetch_sub(&retired_settled, 1);
  if (memory->stores == 0) atomic_fetch_sub(&retired_ready, 1);
  free_entry(memory);
  return true;
}

/*
 * Gives back the addresses of unmapped memories whose last backing store is gone, and of the oldest
 * that no ArrayBuffer leads to, until `keep` of these are left. ArrayBuffers that `transfer()`
 * moved cannot be detached by us; until they are collected they see zero pages.
 */
static void sweep_retired(napi_env env, uint32_t keep) {
  if (atomic_load(&retired_ready) == 0 && atomic_load(&retired_settled) <= keep) return;
  pthread_mutex_lock(&table_lock);
  struct memory **link = &retired_list;
  for (struct memory *memory; (memory = *link) != NULL;) {
    struct memory *next = memory->next;
    bool due = memory->stores == 0 || (memory->loose == 0 && atomic_load(&retired_settled) > keep);
    if (memory->env == env && due && give_back(memory)) {
      *link = next;
    } else {
      link = &memory->next;
    }
  }
  retired_end = link;
  pthread_mutex_unlock(&table_lock);
}

/*
 * The entry is dead; its addresses go at once, or when sweep_retired lets them. `base` is NULL when
 * they are gone.
 */
static void retire(struct memory *memory, uint8_t *base) {
  pthread_mutex_lock(&table_lock);
  if (base == NULL || (memory->stores == 0 && munmap(base, memory->span) == 0)) {
    free_entry(memory);
  } else {
    memory->retired = base;
    memory->next = NULL;
    *retired_end = memory;
    retired_end = &memory->next;
    if (memory->loose == 0) atomic_fetch_add(&retired_settled, 1);
    if (memory->stores == 0) atomic_fetch_add(&retired_ready, 1);
  }
  pthread_mutex_unlock(&table_lock);
}

void memory_drop_store(struct memory *memory, uint64_t id, bool loose) {
  pthread_mutex_lock(&table_lock);
  if (atomic_load(&memory->id) == id) {
    bool retired = memory->retired != NULL;
    if (loose && --memory->loose == 0 && retired) atomic_fetch_add(&retired_settled, 1);
    if (--memory->stores == 0 && retired) atomic_fetch_add(&retired_ready, 1);
  }
  pthread_mutex_unlock(&table_lock);
}

/*
 * What is short is mappings, or addresses: gives back all that can be. Whoever was refused tries
 * again when it says true.
 */
static bool make_room(napi_env env, int error) {
  if (error != ENOMEM || atomic_load(&retired_settled) == 0) return false;
  sweep_retired(env, 0);
  return true;
}

static napi_value create(napi_env env, napi_callback_info info, const char *name, int protection) {
  struct call call;
  uint64_t length;
  if (!call_begin(&call, env, info, name, 1) ||
      !call_integer(&call, 0, "length", SPAN_MAX, &length)) {
    return NULL;
  }
  if (length == 0) {
    return throw_errno(env, EINVAL, "mmap", "ask for at least one byte", "%s of 0 bytes", name);
  }
  sweep_retired(env, RETIRED_MAX);
  spares_refill();
  uint64_t span = round_up(length, memory_page_size);
  uint8_t *base = reserve_aligned(span, protection);
  if (base == MAP_FAILED && make_room(env, errno)) base = reserve_aligned(span, protection);
  if (base == MAP_FAILED) {
    return throw_errno(env, errno, "mmap", NULL, "%s of 0x%" PRIx64 " bytes of addresses", name,
                       length);
  }
  struct memory *memory = new_entry(env);
  if (memory == NULL) {
    munmap(base, span);
    return throw_errno(env, ENOMEM, name, "make fewer memories in one process",
                       "%s: no entry is left for another memory", name);
  }
  memory->length = length;
  memory->span = span;
  memory->mapped_fd = -1;
  atomic_store_explicit(&memory->base, base, memory_order_release);
  return call_number(&call, memory->id);
}

napi_value js_reserve(napi_env env, napi_callback_info info) {
  return create(env, info, "reserve", PROT_NONE);
}

napi_value js_anonymous(napi_env env, napi_callback_info info) {
  return create(env, info, "anonymous", PROT_READ | PROT_WRITE);
}

/* Pages are whole: `offset` begins one, and the run ends one or ends with the memory. */
static bool whole_pages(struct call *call, const struct memory *memory, uint64_t offset,
                        uint64_t length, uint64_t *span) {
  *span = round_up(length, memory_page_size);
  if (length > 0 && offset % memory_page_size == 0 &&
      (length == *span || offset + length == memory->length)) {
    return true;
  }
  throw_errno(call->env, EINVAL, call->name, "pass whole pages",
              "%s of 0x%" PRIx64 " bytes at offset 0x%" PRIx64 " of memory %" PRIu64
              ", whose pages have 0x%zx bytes",
              call->name, length, offset, memory->id, memory_page_size);
  return false;
}

/*
 * Whether a file lets itself be mapped so, tried elsewhere: 0 or an errno. What worked last time
 * for this memory is not tried again, as when the pieces of one file are put side by side.
 */
static int try_map(struct memory *memory, uint64_t span, int protection, int flags, int fd,
                   uint64_t file_offset) {
  if (memory->mapped_fd == fd && memory->mapped_flags == flags &&
      memory->mapped_protection == protection) {
    return 0;
  }
  void *trial = mmap(NULL, span, protection, flags & ~MAP_POPULATE, fd, (off_t)file_offset);
  /* Huge pages want an aligned address, which only the real place has for certain. */
  if (trial == MAP_FAILED) return errno == EINVAL ? 0 : errno;
  munmap(trial, span);
  return 0;
}

/*
 * mmap(MAP_FIXED) of a file. When it fails late the kernel has already removed what was there, and
 * another thread's mapping could slip into the hole. So it is tried elsewhere first, which finds
 * nearly all failures, and a hole that appears all the same is filled at once.
 */
static int map_fixed(struct memory *memory, uint64_t offset, uint64_t span, int protection,
                     int flags, int fd, uint64_t file_offset) {
  int error = try_map(memory, span, protection, flags, fd, file_offset);
  if (error) return error;
  uint8_t *at = memory_base(memory) + offset;
  if (mmap(at, span, protection, flags | MAP_FIXED, fd, (off_t)file_offset) != MAP_FAILED) {
    memory->mapped_fd = fd;
    memory->mapped_flags = flags;
    memory->mapped_protection = protection;
    return 0;
  }
  error = errno;
  memory->mapped_fd = -1;
  const int fill = MAP_FIXED_NOREPLACE | MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
  while (mmap(at, span, PROT_NONE, fill, -1, 0) == MAP_FAILED && errno == ENOMEM) {
    if (!spares_spend()) break;
  }
  return error;
}

napi_value js_map(napi_env env, napi_callback_info info) {
  struct call call;
  struct memory *memory;
  uint64_t offset, fd, file_offset, length, flags, span;
  if (!call_begin(&call, env, info, "map", 6) || !call_memory(&call, 0, "memory", &memory) ||
      !call_integer(&call, 1, "offset", SAFE_MAX, &offset) ||
      !call_integer(&call, 2, "fd", FD_MAX, &fd) ||
      !call_integer(&call, 3, "fileOffset", SAFE_MAX, &file_offset) ||
      !call_integer(&call, 4, "length", SAFE_MAX, &length) ||
      !call_integer(&call, 5, "flags", U32_MAX, &flags) ||
      !call_fits(&call, memory, offset, length) ||
      !whole_pages(&call, memory, offset, length, &span)) {
    return NULL;
  }
  const uint64_t access = MAP_FLAG_READ | MAP_FLAG_WRITE;
  if (flags & ~(access | MAP_FLAG_SYNC | MAP_FLAG_POPULATE) || !(flags & access)) {
    return throw_errno(env, EINVAL, "mmap", "combine MapFlag values, read or write among them",
                       "map into memory %" PRIu64 " with flags 0x%" PRIx64, memory->id, flags);
  }
  int protection = (flags & MAP_FLAG_READ ? PROT_READ : 0) |
                   (flags & MAP_FLAG_WRITE ? PROT_WRITE : 0);
  int kind = (flags & MAP_FLAG_SYNC ? MAP_SHARED_VALIDATE | MAP_SYNC : MAP_SHARED) |
             (flags & MAP_FLAG_POPULATE ? MAP_POPULATE : 0);
  int error = map_fixed(memory, offset, span, protection, kind, (int)fd, file_offset);
  if (make_room(env, error)) {
    error = map_fixed(memory, offset, span, protection, kind, (int)fd, file_offset);
  }
  if (error) {
    return throw_errno(env, error, "mmap", NULL,
                       "map of 0x%" PRIx64 " bytes of fd %d at 0x%" PRIx64
                       " into memory %" PRIu64 " at 0x%" PRIx64,
                       length, (int)fd, file_offset, memory->id, offset);
  }
  return NULL;
}

/* Anonymous pages over a run of a memory. */
static napi_value cover(napi_env env, napi_callback_info info, const char *name, int protection) {
  struct call call;
  struct memory *memory;
  uint64_t offset, length, span;
  if (!call_begin(&call, env, info, name, 3) ||
      !call_range(&call, 0, &memory, &offset, &length) ||
      !whole_pages(&call, memory, offset, length, &span)) {
    return NULL;
  }
  uint8_t *start = memory_base(memory) + offset;
  int error = put_anonymous(start, span, protection);
  if (make_room(env, error)) error = put_anonymous(start, span, protection);
  if (error) {
    return throw_errno(env, error, "mmap", NULL,
                       "%s of 0x%" PRIx64 " bytes at 0x%" PRIx64 " of memory %" PRIu64, name,
                       length, offset, memory->id);
  }
  return NULL;
}

napi_value js_overlay(napi_env env, napi_callback_info info) {
  return cover(env, info, "overlay", PROT_READ | PROT_WRITE);
}

napi_value js_hole(napi_env env, napi_callback_info info) {
  return cover(env, info, "hole", PROT_READ);
}

napi_value js_unmap(napi_env env, napi_callback_info info) {
  struct call call;
  struct memory *memory;
  if (!call_begin(&call, env, info, "unmap", 1) || !call_memory(&call, 0, "memory", &memory)) {
    return NULL;
  }
  if (memory->syncs > 0) {
    return throw_errno(env, EBUSY, "munmap", "await the promises of msyncAsync first",
                       "unmap of memory %" PRIu64 " while %" PRIu32 " msync calls run", memory->id,
                       memory->syncs);
  }
  uint8_t *base = memory_base(memory);
  /*
   * Overlay first: from here on nobody, on any thread, can reach the file through these addresses.
   */
  int error = memory_overlay(base, memory->span);
  if (make_room(env, error)) error = memory_overlay(base, memory->span);
  views_detach(env, memory, 0, memory->length);
  if (error && memory->loose > 0) {
    return throw_errno(env, error, "mmap", NULL, "overlay of memory %" PRIu64, memory->id);
  }
  atomic_store_explicit(&memory->base, NULL, memory_order_release);
  /* To take the addresses away needs no new mapping, and does where no ArrayBuffer leads there. */
  if (error && munmap(base, memory->span) != 0) {
    atomic_store_explicit(&memory->base, base, memory_order_release);
    return throw_errno(env, error, "mmap", NULL, "overlay of memory %" PRIu64, memory->id);
  }
  retire(memory, error ? NULL : base);
  sweep_retired(env, RETIRED_MAX);
  spares_refill();
  return NULL;
}

napi_value js_byteLength(napi_env env, napi_callback_info info) {
  struct call call;
  struct memory *memory;
  if (!call_begin(&call, env, info, "byteLength", 1) ||
      !call_memory(&call, 0, "memory", &memory)) {
    return NULL;
  }
  return call_number(&call, (double)memory->length);
}

/*
 * The environment ends (a worker exits, or the process). Its JavaScript is over, but native work on
 * other threads may still hold addresses: they get zero pages, and the addresses stay taken.
 */
static void end_environment(void *data) {
  napi_env env = data;
  uint64_t end = atomic_load(&memory_end);
  for (uint64_t slot = 1; slot < end; slot++) {
    struct memory *memory =
        &memory_chunks[slot >> MEMORY_CHUNK_SHIFT][slot & (MEMORY_CHUNK - 1)];
    if (memory->env != env || memory_base(memory) == NULL) continue;
    memory_overlay(memory_base(memory), memory->span);
    atomic_store_explicit(&memory->base, NULL, memory_order_release);
  }
  sweep_retired(env, 0);
}

bool memory_start(napi_env env) {
  memory_page_size = (size_t)sysconf(_SC_PAGESIZE);
  spares_start();
  return napi_add_env_cleanup_hook(env, end_environment, env) == napi_ok;
}
