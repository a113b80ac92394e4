#!/usr/bin/env ruby
# Debian's gem `websocket` as the server: draft75, hybi-07, hybi-08 and rfc6455. The gem reads
# requests and frames and makes both; this file moves the bytes, a thread for each connection.
#
# draft76 is refused here: the gem strips white space from the eight bytes behind the request, so
# that its answer is wrong for one client in seventeen, and nothing could be judged.

require 'socket'
require 'websocket'
require 'websocket/version'
require_relative '../lib/commands'

class Peer < Commands::Peer
  def serve
    return unless shake_hands

    frames = WebSocket::Frame::Incoming::Server.new(version: @handshake.version)
    loop do
      while (frame = frames.next)
        return if take(frame) == :over
      end
      raise frames.error.to_s if frames.error?

      frames << @socket.readpartial(65_536)
    end
  rescue IOError, SystemCallError
    nil # the client is gone
  rescue RuntimeError
    nil # what it sent is wrong
  ensure
    @socket.close
  end

  def say(text, type = :text)
    write(type: type, data: text)
  end

  def header(name)
    @handshake.headers[name]
  end

  def ping(payload)
    @asked << payload.b
    say(payload, :ping)
  end

  def close(code, reason)
    return @socket.close_write if @handshake.version == 75

    @closing = true
    write(type: :close, code: code, data: reason)
  end

  private

  def shake_hands
    @handshake = WebSocket::Handshake::Server.new(protocols: ['chat'])
    @handshake << @socket.readpartial(65_536) until @handshake.finished?
    headers = @handshake.headers
    origin = headers['sec-websocket-origin'] || headers['origin']
    return refuse('403 Forbidden') if origin == 'http://evil.example'
    return refuse('400 Bad Request') if !@handshake.valid? || @handshake.version == 76

    @socket.write(@handshake.to_s)
    true
  end

  def refuse(status)
    @socket.write("HTTP/1.1 #{status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
    nil
  end

  def take(frame)
    case frame.type
    when :text then Commands.answer(frame.to_s, self)
    when :binary then say(frame.to_s, :binary)
    when :pong then say("pong #{frame}") if @asked.delete(frame.to_s.b)
    when :ping
      @pings << frame.to_s
      say(frame.to_s, :pong)
    when :close
      Commands.closed(frame.code || 1005, frame.to_s.dup.force_encoding('UTF-8'))
      write(type: :close, code: frame.code) unless @closing
      :over
    end
  end

  def write(options)
    frame = WebSocket::Frame::Outgoing::Server.new(version: @handshake.version, **options)
    @socket.write(frame.to_s)
  end
end

listener = TCPServer.new('127.0.0.1', 0)
# It takes no reason but one in ASCII (RFC 6455 section 5.5.1 has UTF-8).
deviations = %w[hybi-07 hybi-08 rfc6455].product(['is answered', 'arrives']).map do |version, what|
  "deviates #{version}, our close 1001 \"grüße\" #{what}"
end
Commands.announce([
  "library Ruby websocket #{WebSocket::VERSION}",
  'speaks draft75,hybi-07,hybi-08,rfc6455',
  'cannot deflate fragments',
  *deviations,
], listener.addr[1])
loop do
  socket = listener.accept
  Thread.new { Peer.new(socket).serve }
end
