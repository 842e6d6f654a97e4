/*
 * Every function of the face, once: addon.c registers what is listed here. The hot ones take their
 * numbers from registers (args.h), and hot_calls.ts gives them their faces.
 */
#ifndef HOLDFAST_ADDON_H
#define HOLDFAST_ADDON_H

#include <node_api.h>

#define METHODS(X)                                                                                \
  X(reserve) X(anonymous) X(map) X(overlay) X(hole) X(unmap) X(byteLength)                        \
  X(view) X(detach) X(viewCount)                                                                  \
  X(takeFaults)                                                                                   \
  X(lock) X(unlock) X(locked) X(firstLock) X(memfd) X(addSeals) X(seals) X(statfs) X(fallocate)    \
  X(canMapSync)                                                                                   \
  X(msync) X(fdatasync) X(msyncAsync) X(fdatasyncAsync) X(forget)                                 \
  X(seek) X(makeNode) X(setTimes) X(listXattrs) X(getXattr) X(setXattr)                           \
  X(poll) X(closePoll)                                                                            \
  X(connectSocket) X(connected) X(listenSocket) X(acceptSocket) X(boundTo) X(segmentBytes)        \
  X(roomToSend)                                                                                   \
  X(endSocket) X(closeSocket)                                                                     \
  X(connectUnix) X(listenUnix) X(adoptUnix) X(acceptUnix) X(unixPath) X(peerOf) X(sendDatagram)   \
  X(sendDescriptors) X(receiveDescriptors)                                                        \
  X(mount) X(unmount) X(notifyFuse) X(socketPair) X(takeDescriptor)

#define HOT_METHODS(X)                                                                            \
  X(copyOut) X(copyIn) X(streamIn) X(copy) X(stream) X(zero) X(streamZero) X(store8)              \
  X(flush) X(evict) X(fence) X(touch)                                                             \
  X(gatherLines) X(writePages) X(storeLines) X(scanRecords)                                       \
  X(crc32c) X(crc32cOf) X(crc32cPortable) X(sealBatch)                                            \
  X(copyBytes) X(atomic8) X(atomic8Of) X(store8Of)                                                \
  X(watch) X(send) X(receive) X(sendParts) X(receiveParts)                                     \
  X(readRequest) X(writeReply) X(writeReplyParts)

#define X(name) napi_value js_##name(napi_env env, napi_callback_info info);
METHODS(X)
HOT_METHODS(X)
#undef X

#endif
