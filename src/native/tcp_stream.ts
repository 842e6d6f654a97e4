/** A connected TCP socket as a stream of bytes. */
import { native } from './native.js'
import { SocketStream } from './socket_stream.js'

/** Host and port for texts. */
export function endpointText(host: string, port: number): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
}

export class TcpStream extends SocketStream {
  override get segmentBytes(): number | null {
    return this.closed ? null : native.segmentBytes(this.poll)
  }
}
