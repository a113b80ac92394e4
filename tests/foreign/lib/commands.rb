# The commands that our client sends to servers in Ruby; README.md has the list.

module Commands
  # A connection as the commands see it: with the pings that came, and those that were sent.
  class Peer
    attr_reader :pings

    def initialize(socket)
      @socket = socket
      @pings = []
      @asked = []
    end
  end

  class << self
    attr_reader :last_close

    def closed(code, reason)
      @last_close = "closed #{code} #{reason}"
    end

    # Answers a text. `peer` has header(name), pings, and what the library has of say(text),
    # close(code, reason) and ping(payload).
    def answer(text, peer)
      command, rest = text.split(' ', 2)
      rest ||= ''
      case command
      when '!close'
        code, reason = rest.split(' ', 2)
        peer.close(code&.to_i, reason || '')
      when '!header' then peer.say("header #{peer.header(rest)}")
      when '!last-close' then peer.say(last_close)
      when '!ping' then peer.ping(rest)
      when '!pings' then peer.say("pings #{peer.pings.join(',')}")
      else peer.say(text)
      end
    end

    def announce(lines, port)
      puts lines, "listening on 127.0.0.1:#{port}"
      $stdout.flush
    end
  end
end
