#!/usr/bin/env ruby
# Debian's em-websocket as the server: draft75, draft76, hybi-07, hybi-08 and rfc6455.

require 'em-websocket'
require 'em-websocket/version'
require_relative '../lib/commands'

class Peer < Commands::Peer
  def initialize(socket)
    super
    socket.onopen { |handshake| @headers = handshake.headers_downcased }
    socket.onmessage { |text| Commands.answer(text, self) }
    socket.onbinary { |bytes| socket.send_binary(bytes) }
    socket.onping { |payload| @pings << payload }
    socket.onpong { |payload| say("pong #{payload.force_encoding('UTF-8')}") if @asked.delete(payload.b) }
    socket.onclose { |event| Commands.closed(event[:code], event[:reason]&.force_encoding('UTF-8')) }
    socket.onerror { |_| } # it closes by itself
  end

  def say(text)
    @socket.send_text(text.dup)
  end

  def header(name)
    @headers[name]
  end

  def ping(payload)
    @asked << payload.b
    @socket.ping(payload)
  end

  # The library closes with other codes itself, but has no public method for it.
  def close(code, reason)
    @socket.__send__(:close_websocket_private, code, reason.b)
  end
end

EM.run do
  server = EM::WebSocket.run(host: '127.0.0.1', port: 0) { |socket| Peer.new(socket) }
  port, = Socket.unpack_sockaddr_in(EM.get_sockname(server))
  Commands.announce([
    "library Ruby em-websocket #{EM::Websocket::VERSION}",
    'speaks draft75,draft76,hybi-07,hybi-08,rfc6455',
    # draft76 repeats what was asked for, whatever it is.
    'cannot deflate fragments origin subprotocol/draft75 subprotocol/hybi-07 subprotocol/hybi-08 subprotocol/rfc6455',
    # It ends the stream without FF 00 (draft-hixie-76 section 5.3).
    'deviates draft76, their close is a clean one',
  ], port)
end
