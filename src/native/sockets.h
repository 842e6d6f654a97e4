/* What sockets of all kinds share. */
#ifndef HOLDFAST_SOCKETS_H
#define HOLDFAST_SOCKETS_H

#include <sys/socket.h>

/* As Node's; the kernel takes less where net.core.somaxconn says so. */
enum { BACKLOG = 511 };

/* accept4(2), past connections that are gone already. EAGAIN: there is none now. */
int accept_next(int listener, struct sockaddr *address, socklen_t *length);

#endif
