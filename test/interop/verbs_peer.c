/*
 * verbs_peer: what libibverbs and librdmacm do, driven by lines. Each line of standard input is a
 * command, and has one line as its answer, `ok …` or `fail …`; what happens in between is told in
 * lines of their own: `cm`, `completion`, `async`. Ends with its input.
 *
 *   listen NAME PORT                       rdma_listen
 *   open NAME HOST PORT [domain=N]         an id with its route and its queue pair
 *   connect NAME [data=HEX] [ird=N] [ord=N]
 *   take NAME [domain=N]                   the oldest request to a listener gets a queue pair
 *   accept NAME [data=HEX] [ird=N] [ord=N]
 *   reject NAME [data=HEX]
 *   disconnect NAME
 *   close NAME                             destroys queue pair and id
 *   region NAME BYTES RIGHTS [domain=N]    RIGHTS: l local write, r remote read, w remote write
 *   deregister NAME
 *   fill NAME OFFSET LENGTH SEED           writes the pattern of a seed
 *   compare NAME OFFSET LENGTH SEED        says where it differs
 *   show NAME OFFSET LENGTH                its bytes, as hex digits
 *   receive QP ID REGION OFFSET LENGTH
 *   send QP ID REGION OFFSET LENGTH [invalidate=STAG] [solicited=1] [fence=1]
 *   write QP ID REGION OFFSET LENGTH STAG ADDRESS [fence=1]
 *   read QP ID REGION OFFSET LENGTH STAG ADDRESS [fence=1]
 *   invalidate QP ID STAG                  a local one
 */
#include <endian.h>
#include <errno.h>
#include <poll.h>
#include <rdma/rdma_cma.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { NAMES = 64, NAME_BYTES = 24, WORDS = 16, DOMAINS = 4, DEPTH = 128, CQ_DEPTH = 8192 };

struct region {
  char name[NAME_BYTES];
  struct ibv_mr *mr;
  uint8_t *bytes;
  size_t length, mapped;
};

struct link {
  char name[NAME_BYTES];
  struct rdma_cm_id *id;
  struct ibv_pd *pd;
  bool opening;
};

static struct region regions[NAMES];
static struct link links[NAMES];
static struct rdma_cm_id *requests[NAMES];
static int requested;
static struct ibv_context *device;
static struct ibv_pd *domains[DOMAINS];
static struct rdma_event_channel *channel;
static struct ibv_comp_channel *completions;
static struct ibv_cq *cq;

static void say(const char *format, ...) {
  va_list list;
  va_start(list, format);
  vprintf(format, list);
  va_end(list);
  putchar('\n');
  fflush(stdout);
}

/* The answer to a call that returns 0, or an errno, or -1 and sets errno. */
static void answer(int result) {
  if (result == 0) say("ok");
  else say("fail %s", strerror(result > 0 ? result : errno));
}

static const char *name_of(const char *const *names, unsigned count, unsigned value) {
  static char number[16];
  if (value < count && names[value] != NULL) return names[value];
  snprintf(number, sizeof number, "%u", value);
  return number;
}

#define NAME_IN(table, value) name_of(table, sizeof table / sizeof *table, value)

static const char *const STATUSES[] = {
    "SUCCESS",         "LOC_LEN_ERR",      "LOC_QP_OP_ERR",   "LOC_EEC_OP_ERR",
    "LOC_PROT_ERR",    "WR_FLUSH_ERR",     "MW_BIND_ERR",     "BAD_RESP_ERR",
    "LOC_ACCESS_ERR",  "REM_INV_REQ_ERR",  "REM_ACCESS_ERR",  "REM_OP_ERR",
    "RETRY_EXC_ERR",   "RNR_RETRY_EXC_ERR", "LOC_RDD_VIOL_ERR", "REM_INV_RD_REQ_ERR",
    "REM_ABORT_ERR",   "INV_EECN_ERR",     "INV_EEC_STATE_ERR", "FATAL_ERR",
    "RESP_TIMEOUT_ERR", "GENERAL_ERR"};
static const char *const ASYNC_EVENTS[] = {
    "CQ_ERR",   "QP_FATAL",     "QP_REQ_ERR",   "QP_ACCESS_ERR", "COMM_EST",
    "SQ_DRAINED", "PATH_MIG",   "PATH_MIG_ERR", "DEVICE_FATAL",  "PORT_ACTIVE",
    "PORT_ERR", "LID_CHANGE",   "PKEY_CHANGE",  "SM_CHANGE",     "SRQ_ERR",
    "SRQ_LIMIT_REACHED", "QP_LAST_WQE_REACHED"};

static const char *opcode_name(enum ibv_wc_opcode opcode) {
  switch (opcode) {
  case IBV_WC_SEND: return "send";
  case IBV_WC_RDMA_WRITE: return "write";
  case IBV_WC_RDMA_READ: return "read";
  case IBV_WC_LOCAL_INV: return "invalidate";
  case IBV_WC_RECV: return "receive";
  default: return "other";
  }
}

/* The words of a command. */
static char *words[WORDS];
static int word_count;

static const char *word(int index) {
  return index < word_count ? words[index] : "";
}

static uint64_t number(int index) {
  return strtoull(word(index), NULL, 0);
}

static const char *option(const char *key) {
  size_t length = strlen(key);
  for (int i = 1; i < word_count; i++) {
    const char *text = words[i];
    if (strncmp(text, key, length) == 0 && text[length] == '=') return text + length + 1;
  }
  return NULL;
}

static uint64_t option_number(const char *key, uint64_t otherwise) {
  const char *text = option(key);
  return text == NULL ? otherwise : strtoull(text, NULL, 0);
}

static struct region *find_region(const char *name) {
  for (int i = 0; i < NAMES; i++) {
    if (regions[i].bytes != NULL && strcmp(regions[i].name, name) == 0) return &regions[i];
  }
  say("fail no region %s", name);
  return NULL;
}

static struct link *find_link(const char *name) {
  for (int i = 0; i < NAMES; i++) {
    if (links[i].id != NULL && strcmp(links[i].name, name) == 0) return &links[i];
  }
  say("fail no link %s", name);
  return NULL;
}

static struct link *new_link(const char *name, struct rdma_cm_id *id) {
  for (int i = 0; i < NAMES; i++) {
    if (links[i].id != NULL) continue;
    snprintf(links[i].name, sizeof links[i].name, "%s", name);
    links[i].id = id;
    links[i].opening = false;
    id->context = &links[i];
    return &links[i];
  }
  say("fail too many links");
  return NULL;
}

static struct ibv_pd *domain(void) {
  unsigned index = option_number("domain", 0) % DOMAINS;
  if (domains[index] == NULL) domains[index] = ibv_alloc_pd(device);
  return domains[index];
}

static int make_queue_pair(struct link *link, struct ibv_pd *pd) {
  struct ibv_qp_init_attr attributes = {
      .send_cq = cq,
      .recv_cq = cq,
      .qp_type = IBV_QPT_RC,
      .sq_sig_all = 1,
      .cap = {.max_send_wr = DEPTH, .max_recv_wr = DEPTH, .max_send_sge = 1, .max_recv_sge = 1},
  };
  return rdma_create_qp(link->id, pd, &attributes);
}

/* Hex digits of data=…; returns how many bytes. */
static unsigned data_option(uint8_t *data, unsigned most) {
  const char *text = option("data");
  unsigned count = 0;
  if (text == NULL) return 0;
  while (count < most && sscanf(text + 2 * count, "%2hhx", &data[count]) == 1) count++;
  return count;
}

static struct rdma_conn_param parameters(uint8_t *data) {
  struct rdma_conn_param result = {
      .private_data = data,
      .private_data_len = data_option(data, 192),
      .responder_resources = option_number("ird", 16),
      .initiator_depth = option_number("ord", 16),
      .retry_count = 7,
      .rnr_retry_count = 7,
  };
  return result;
}

static void do_listen(void) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(number(2))};
  struct rdma_cm_id *id;
  if (rdma_create_id(channel, &id, NULL, RDMA_PS_TCP) != 0) return answer(-1);
  if (rdma_bind_addr(id, (struct sockaddr *)&address) != 0) return answer(-1);
  if (new_link(word(1), id) != NULL) answer(rdma_listen(id, 16));
}

static void do_open(void) {
  struct rdma_addrinfo hints = {.ai_port_space = RDMA_PS_TCP}, *found;
  struct rdma_cm_id *id;
  if (rdma_getaddrinfo(word(2), word(3), &hints, &found) != 0) return answer(-1);
  if (rdma_create_id(channel, &id, NULL, RDMA_PS_TCP) != 0) return answer(-1);
  struct link *link = new_link(word(1), id);
  if (link == NULL) return;
  link->opening = true;
  link->pd = domain();
  /* The answer comes with the route. */
  if (rdma_resolve_addr(id, NULL, found->ai_dst_addr, 5000) != 0) answer(-1);
  rdma_freeaddrinfo(found);
}

static void do_take(void) {
  if (requested == 0) return say("fail no request");
  struct link *link = new_link(word(1), requests[0]);
  if (link == NULL) return;
  memmove(requests, requests + 1, --requested * sizeof *requests);
  answer(make_queue_pair(link, domain()));
}

static void do_connection(const char *what) {
  uint8_t data[256];
  struct link *link = find_link(word(1));
  if (link == NULL) return;
  struct rdma_conn_param asked = parameters(data);
  if (strcmp(what, "connect") == 0) answer(rdma_connect(link->id, &asked));
  else if (strcmp(what, "accept") == 0) answer(rdma_accept(link->id, &asked));
  else answer(rdma_reject(link->id, data, asked.private_data_len));
}

static void do_close(void) {
  struct link *link = find_link(word(1));
  if (link == NULL) return;
  if (link->id->qp != NULL) rdma_destroy_qp(link->id);
  int result = rdma_destroy_id(link->id);
  link->id = NULL;
  answer(result);
}

static void do_region(void) {
  struct region *region = NULL;
  for (int i = 0; i < NAMES && region == NULL; i++) {
    if (regions[i].bytes == NULL) region = &regions[i];
  }
  if (region == NULL) return say("fail too many regions");
  int access = 0;
  if (strchr(word(3), 'l')) access |= IBV_ACCESS_LOCAL_WRITE;
  if (strchr(word(3), 'r')) access |= IBV_ACCESS_REMOTE_READ;
  if (strchr(word(3), 'w')) access |= IBV_ACCESS_REMOTE_WRITE;
  size_t length = number(2), mapped = (length + 4095) / 4096 * 4096;
  void *bytes = mmap(NULL, mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (bytes == MAP_FAILED) return answer(-1);
  struct ibv_mr *mr = ibv_reg_mr(domain(), bytes, length, access);
  if (mr == NULL) return answer(-1);
  *region = (struct region){.mr = mr, .bytes = bytes, .length = length, .mapped = mapped};
  snprintf(region->name, sizeof region->name, "%s", word(1));
  say("ok stag=0x%x address=0x%llx", mr->rkey, (unsigned long long)(uintptr_t)bytes);
}

static void do_deregister(void) {
  struct region *region = find_region(word(1));
  if (region == NULL) return;
  int result = ibv_dereg_mr(region->mr);
  munmap(region->bytes, region->mapped);
  region->bytes = NULL;
  answer(result);
}

/* Word `index` of the pattern of a seed; in memory its lowest byte is the first. */
static uint32_t pattern(uint32_t seed, size_t index) {
  uint32_t mixed = seed + (uint32_t)index * 0x9e3779b1u;
  mixed = (mixed ^ mixed >> 15) * 0x85ebca77u;
  return mixed ^ mixed >> 13;
}

static void fill(uint8_t *bytes, size_t length, uint32_t seed) {
  for (size_t at = 0; at < length; at += 4) {
    uint32_t wanted = htole32(pattern(seed, at / 4));
    memcpy(bytes + at, &wanted, length - at < 4 ? length - at : 4);
  }
  say("ok");
}

static void compare(const uint8_t *bytes, size_t length, uint32_t seed) {
  for (size_t at = 0; at < length; at += 4) {
    uint32_t wanted = htole32(pattern(seed, at / 4));
    if (memcmp(bytes + at, &wanted, length - at < 4 ? length - at : 4) == 0) continue;
    return say("ok differs at %zu: %02x%02x…", at, bytes[at], at + 1 < length ? bytes[at + 1] : 0);
  }
  say("ok same");
}

static void do_content(const char *what) {
  struct region *region = find_region(word(1));
  if (region == NULL) return;
  size_t offset = number(2), length = number(3);
  if (offset > region->length || length > region->length - offset) return say("fail out of bounds");
  uint8_t *bytes = region->bytes + offset;
  if (strcmp(what, "fill") == 0) return fill(bytes, length, number(4));
  if (strcmp(what, "compare") == 0) return compare(bytes, length, number(4));
  printf("ok ");
  for (size_t i = 0; i < length; i++) printf("%02x", bytes[i]);
  say("");
}

/* What both kinds of request have: where their bytes are. Of a region that is gone, none. */
static bool local_bytes(struct ibv_sge *sge) {
  struct region *region = find_region(word(3));
  if (region == NULL) return false;
  sge->addr = (uintptr_t)region->bytes + number(4);
  sge->length = number(5);
  sge->lkey = region->mr->lkey;
  return true;
}

static void do_receive(void) {
  struct link *link = find_link(word(1));
  struct ibv_sge sge;
  if (link == NULL || !local_bytes(&sge)) return;
  struct ibv_recv_wr *bad, request = {.wr_id = number(2), .sg_list = &sge, .num_sge = 1};
  answer(ibv_post_recv(link->id->qp, &request, &bad));
}

static void do_post(enum ibv_wr_opcode opcode) {
  struct link *link = find_link(word(1));
  struct ibv_sge sge = {0};
  if (link == NULL || (opcode != IBV_WR_LOCAL_INV && !local_bytes(&sge))) return;
  struct ibv_send_wr *bad, request = {.wr_id = number(2), .opcode = opcode};
  request.sg_list = &sge;
  request.num_sge = opcode == IBV_WR_LOCAL_INV ? 0 : 1;
  request.send_flags = IBV_SEND_SIGNALED;
  if (option_number("fence", 0)) request.send_flags |= IBV_SEND_FENCE;
  if (option_number("solicited", 0)) request.send_flags |= IBV_SEND_SOLICITED;
  if (opcode == IBV_WR_LOCAL_INV || option("invalidate") != NULL) {
    if (opcode == IBV_WR_SEND) request.opcode = IBV_WR_SEND_WITH_INV;
    request.invalidate_rkey = opcode == IBV_WR_SEND ? option_number("invalidate", 0) : number(3);
    /* libsiw takes it from there. */
    request.wr.rdma.rkey = request.invalidate_rkey;
  } else if (opcode != IBV_WR_SEND) {
    request.wr.rdma.rkey = number(6);
    request.wr.rdma.remote_addr = number(7);
  }
  answer(ibv_post_send(link->id->qp, &request, &bad));
}

static void do_disconnect(void) {
  struct link *link = find_link(word(1));
  if (link != NULL) answer(rdma_disconnect(link->id));
}

static void obey(char *line) {
  word_count = 0;
  for (char *at = strtok(line, " "); at != NULL && word_count < WORDS; at = strtok(NULL, " ")) {
    words[word_count++] = at;
  }
  const char *what = word(0);
#define IS(name) (strcmp(what, name) == 0)
  if (IS("listen")) do_listen();
  else if (IS("open")) do_open();
  else if (IS("take")) do_take();
  else if (IS("connect") || IS("accept") || IS("reject")) do_connection(what);
  else if (IS("disconnect")) do_disconnect();
  else if (IS("close")) do_close();
  else if (IS("region")) do_region();
  else if (IS("deregister")) do_deregister();
  else if (IS("fill") || IS("compare") || IS("show")) do_content(what);
  else if (IS("receive")) do_receive();
  else if (IS("send")) do_post(IBV_WR_SEND);
  else if (IS("write")) do_post(IBV_WR_RDMA_WRITE);
  else if (IS("read")) do_post(IBV_WR_RDMA_READ);
  else if (IS("invalidate")) do_post(IBV_WR_LOCAL_INV);
  else say("fail no command %s", what);
}

/* The steps of `open`, which has its answer at their end; false: it is another event. */
static bool go_on_opening(struct link *link, struct rdma_cm_event *event) {
  if (link == NULL || !link->opening) return false;
  if (event->event == RDMA_CM_EVENT_ADDR_RESOLVED) {
    if (rdma_resolve_route(link->id, 5000) == 0) return true;
    answer(-1);
  } else if (event->event == RDMA_CM_EVENT_ROUTE_RESOLVED) {
    answer(make_queue_pair(link, link->pd));
  } else {
    say("fail %s", rdma_event_str(event->event));
  }
  link->opening = false;
  return true;
}

static void on_cm_event(void) {
  struct rdma_cm_event *event;
  if (rdma_get_cm_event(channel, &event) != 0) return;
  bool request = event->event == RDMA_CM_EVENT_CONNECT_REQUEST;
  struct link *link = request ? event->listen_id->context : event->id->context;
  if (!go_on_opening(link, event)) {
    const struct rdma_conn_param *conn = &event->param.conn;
    printf("cm %s %s status=%d ird=%u ord=%u data=", link == NULL ? "-" : link->name,
           rdma_event_str(event->event) + strlen("RDMA_CM_EVENT_"), event->status,
           conn->responder_resources, conn->initiator_depth);
    const uint8_t *data = conn->private_data;
    for (int i = 0; data != NULL && i < conn->private_data_len; i++) printf("%02x", data[i]);
    say("");
    if (request && requested < NAMES) {
      event->id->context = NULL;
      requests[requested++] = event->id;
    }
  }
  rdma_ack_cm_event(event);
}

static const char *queue_pair_name(uint32_t number) {
  for (int i = 0; i < NAMES; i++) {
    if (links[i].id == NULL || links[i].id->qp == NULL) continue;
    if (links[i].id->qp->qp_num == number) return links[i].name;
  }
  return "-";
}

static void on_completion(void) {
  struct ibv_cq *of;
  void *context;
  if (ibv_get_cq_event(completions, &of, &context) != 0) return;
  ibv_ack_cq_events(of, 1);
  ibv_req_notify_cq(of, 0);
  struct ibv_wc wc;
  while (ibv_poll_cq(of, 1, &wc) > 0) {
    bool good = wc.status == IBV_WC_SUCCESS;
    printf("completion %s %llu %s %s bytes=%u", queue_pair_name(wc.qp_num),
           (unsigned long long)wc.wr_id, NAME_IN(STATUSES, wc.status),
           good ? opcode_name(wc.opcode) : "-", good ? wc.byte_len : 0);
    if (good && (wc.wc_flags & IBV_WC_WITH_INV)) printf(" invalidated=0x%x", wc.invalidated_rkey);
    say("");
  }
}

static void on_async_event(void) {
  struct ibv_async_event event;
  if (ibv_get_async_event(device, &event) != 0) return;
  enum ibv_event_type type = event.event_type;
  bool of_pair = type >= IBV_EVENT_QP_FATAL && type <= IBV_EVENT_PATH_MIG_ERR;
  say("async %s %s", of_pair ? queue_pair_name(event.element.qp->qp_num) : "-",
      NAME_IN(ASYNC_EVENTS, type));
  ibv_ack_async_event(&event);
}

/* Takes what has come, and obeys each whole line; false at its end. */
static bool on_input(void) {
  static char buffer[8192];
  static size_t have;
  ssize_t got = read(0, buffer + have, sizeof buffer - 1 - have);
  if (got <= 0) return false;
  have += got;
  char *end;
  while ((end = memchr(buffer, '\n', have)) != NULL) {
    *end = '\0';
    size_t line = end + 1 - buffer;
    obey(buffer);
    have -= line;
    memmove(buffer, end + 1, have);
  }
  return true;
}

int main(void) {
  int count;
  struct ibv_context **list = rdma_get_devices(&count);
  if (list == NULL || count == 0) return say("fail no device"), 1;
  device = list[0];
  channel = rdma_create_event_channel();
  completions = ibv_create_comp_channel(device);
  if (channel == NULL || completions == NULL) return say("fail no channels"), 1;
  cq = ibv_create_cq(device, CQ_DEPTH, NULL, completions, 0);
  if (cq == NULL || ibv_req_notify_cq(cq, 0) != 0) return say("fail no completion queue"), 1;
  say("ready");
  struct pollfd polled[] = {{.fd = 0, .events = POLLIN},
                            {.fd = channel->fd, .events = POLLIN},
                            {.fd = completions->fd, .events = POLLIN},
                            {.fd = device->async_fd, .events = POLLIN}};
  while (poll(polled, 4, -1) >= 0 || errno == EINTR) {
    if (polled[1].revents) on_cm_event();
    if (polled[2].revents) on_completion();
    if (polled[3].revents) on_async_event();
    if (polled[0].revents && !on_input()) return 0;
  }
  return 1;
}
