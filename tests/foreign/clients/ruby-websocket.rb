#!/usr/bin/env ruby
# Debian's gem `websocket` as the client: draft75, draft76, hybi-07, hybi-08 and rfc6455. The gem
# makes the requests and the frames and reads both; this file moves the bytes and judges.

require 'securerandom'
require 'socket'
require 'timeout'
require 'websocket'
require 'websocket/version'

DEADLINE = 10 # seconds
NAMES = { 75 => 'draft75', 76 => 'draft76', 7 => 'hybi-07', 8 => 'hybi-08', 13 => 'rfc6455' }.freeze
SIZES = [0, 1, 125, 126, 127, 65_535, 65_536, 1_048_576].freeze

# It asks with the field of draft75 (draft-hixie-76 section 4.1 has Sec-WebSocket-Protocol).
DEVIATIONS = ['draft76, the subprotocol asked for is the one agreed']

# A connection to one of our servers.
class Link
  attr_reader :handshake

  def initialize(version, host, **options)
    @version = version
    @handshake = WebSocket::Handshake::Client.new(url: "ws://#{host}/", version: version, origin: "http://#{host}", **options)
    @frames = WebSocket::Frame::Incoming::Client.new(version: version)
    @socket = TCPSocket.new(*host.split(':'))
    @socket.write(@handshake.to_s)
    @input = +''.b
  end

  # The gem reads the head, and for draft76 the 16 bytes behind it, in one piece.
  def open
    read until (length = answer_length) && @input.size >= length
    @handshake << @input.slice!(0, length)
    raise "the gem refuses the answer: #{@handshake.error}" unless @handshake.valid?

    @frames << @input
    self
  end

  def status
    read until @input.include?("\r\n\r\n")
    @input[%r{\AHTTP/1.1 (\d+)}, 1].to_i
  end

  def say(data, type = :text, **options)
    frame = WebSocket::Frame::Outgoing::Client.new(version: @version, type: type, data: data, **options).to_s
    # An echo server stops reading when nobody takes its answers.
    sender = Thread.new { @socket.write(frame) }
    yield if block_given?
    sender.join
  end

  # The next frame.
  def hear
    loop do
      frame = @frames.next
      return frame if frame
      raise @frames.error.to_s if @frames.error?

      @frames << @socket.readpartial(65_536)
    end
  end

  def echo(data, type = :text)
    frame = nil
    say(data, type) { frame = hear }
    same([frame.type, frame.to_s.b], [type, data.b], 'the echo')
  end

  def close(code)
    return @socket.close_write if @version == 75

    NAMES[@version].start_with?('draft') ? say('', :close) : say('', :close, code: code)
  end

  # The closing frame of the version, and the end of the stream.
  def ended(code)
    unless @version == 75
      frame = hear
      same(frame.type, :close, 'the last frame')
      same(frame.code, code, 'the code') unless @version == 76
    end
    at_end
  end

  def at_end
    same(@socket.read, '', 'what comes behind the end')
  end

  private

  def answer_length
    head = @input.index("\r\n\r\n") or return
    head + 4 + (@version == 76 ? 16 : 0)
  end

  def read
    @input << @socket.readpartial(65_536)
  end
end

def same(found, expected, what)
  raise "#{what} is #{found.inspect[0, 100]}, not #{expected.inspect[0, 100]}" unless found == expected
end

def check(version, name, &body)
  name = "#{NAMES[version]}, #{name}"
  known = DEVIATIONS.delete(name)
  $checks += 1
  Timeout.timeout(DEADLINE, &body)
  puts known ? "not ok #{name}: it is listed as a deviation, and passes" : "ok #{name}"
rescue StandardError => e
  puts "#{known ? 'deviates' : 'not ok'} #{name}: #{e.class}: #{e.message.tr("\n", ' ')}"
end

def handshakes(version, echo, limited)
  check(version, 'the subprotocol asked for is the one agreed') do
    header = version == 75 ? 'websocket-protocol' : 'sec-websocket-protocol'
    link = Link.new(version, echo, protocols: ['chat']).open
    same(link.handshake.headers[header], 'chat', 'the subprotocol')
  end
  check(version, 'a wrong Origin gets 403') do
    same(Link.new(version, echo, origin: 'http://evil.example').status, 403, 'the status')
  end
  return if version == 13

  check(version, 'a server of rfc6455 alone answers 426') do
    same(Link.new(version, limited, origin: 'http://friend.example').status, 426, 'the status')
  end
end

def messages(version, echo)
  SIZES.each do |size|
    check(version, "text of #{size} bytes") { Link.new(version, echo).open.echo('x' * size) }
  end
  check(version, 'text in UTF-8') { Link.new(version, echo).open.echo("a é 世 👋 \u{10FFFF}") }
  check(version, '500 texts without waiting, in order') do
    link = Link.new(version, echo).open
    500.times { |index| link.say("text #{index}") }
    500.times { |index| same(link.hear.to_s, "text #{index}", 'the echo') }
  end
  return if version >= 75

  SIZES.each do |size|
    check(version, "binary of #{size} bytes") { Link.new(version, echo).open.echo(SecureRandom.random_bytes(size), :binary) }
  end
  ['', 'there?', 'p' * 125].each do |payload|
    check(version, "a ping of #{payload.size} bytes is answered") do
      link = Link.new(version, echo).open
      link.say(payload, :ping)
      pong = link.hear
      same([pong.type, pong.to_s], [:pong, payload], 'what came')
    end
  end
end

def closes(version, echo)
  (version < 75 ? [1000, 1001, 1011, 3000, 4999] : [nil]).each do |code|
    check(version, "the client closes#{" with #{code}" if code}, the server answers and ends the stream") do
      link = Link.new(version, echo).open
      link.echo('last words')
      link.close(code)
      link.ended(code)
    end
  end
  check(version, 'the server closes in the words of the version') do
    link = Link.new(version, echo).open
    link.say('close, please')
    if version != 75
      frame = link.hear
      same(frame.type, :close, 'the frame')
      same(frame.code, 1000, 'the code') if version < 75
      link.close(1000)
    end
    link.at_end
  end
end

$stdout.sync = true
$checks = 0
echo, limited = ENV.values_at('ECHO', 'LIMITED')
puts "library Ruby websocket #{WebSocket::VERSION}"
NAMES.each_key do |version|
  handshakes(version, echo, limited)
  messages(version, echo)
  closes(version, echo)
end
DEVIATIONS.each { |name| puts "not ok #{name}: it is listed as a deviation, but was not run" }
puts "done #{$checks + DEVIATIONS.size}"
